package io.tesseractgrpc.client;

/**
 * Why one row refused a commit.
 *
 * @param operation which write of the commit, from 0
 * @param row which of its rows, from 0
 * @param column the column, when one is to blame; otherwise empty
 * @param reason from the list in the server's docs/ERRORS.md
 * @param message the same for people
 */
public record RowError(long operation, long row, String column, String reason, String message) {}
