package io.tesseractgrpc.client;

/** What happened to one row between two consistent points. */
public sealed interface RowChange {
  /**
   * The key columns of the row.
   *
   * @return the key, as a row of the key columns alone
   */
  Row key();

  /**
   * The row left.
   *
   * @param key the key columns
   * @param reason deleted, filtered, window, expired, permission, or unknown where the server is
   *     newer than this client
   */
  record Removed(Row key, String reason) implements RowChange {}

  /**
   * Values of the row changed.
   *
   * @param key the key columns
   * @param row the key and the changed columns, with their new values
   */
  record Updated(Row key, Row row) implements RowChange {}

  /**
   * The row has another place.
   *
   * @param key the key columns
   * @param index its position in the window after all changes, from 0
   */
  record Moved(Row key, int index) implements RowChange {}

  /**
   * The row came.
   *
   * @param key the key columns
   * @param row the complete row
   * @param index its position in the window after all changes, from 0
   */
  record Inserted(Row key, Row row, int index) implements RowChange {}
}
