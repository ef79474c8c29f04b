package io.tesseractgrpc.client;

/**
 * The stream cannot be trusted any more. The reason is one word, for the snapshot that will heal
 * it.
 */
final class StreamBroken extends RuntimeException {
  private static final long serialVersionUID = 1L;

  final String reason;

  StreamBroken(String reason, String message) {
    super(message);
    this.reason = reason;
  }

  static StreamBroken malformed(String message) {
    return new StreamBroken("malformed", message);
  }

  static StreamBroken disorder(String message) {
    return new StreamBroken("disorder", message);
  }
}
