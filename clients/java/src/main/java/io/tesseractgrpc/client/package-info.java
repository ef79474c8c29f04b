/**
 * The Java client of Tesseract: tables, queries, and live mirrors that heal themselves.
 *
 * <p>Begin with {@link io.tesseractgrpc.client.Hub#connect(String)}. A {@link
 * io.tesseractgrpc.client.Session} is a live query; its {@link io.tesseractgrpc.client.Mirror}
 * keeps the rows of a window of it current, over restarts and broken connections.
 */
package io.tesseractgrpc.client;
