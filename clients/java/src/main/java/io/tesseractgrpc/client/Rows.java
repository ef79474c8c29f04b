package io.tesseractgrpc.client;

import java.util.AbstractList;
import java.util.List;

/**
 * What a read returns: the rows, all of one version, and what is known about them. It is a list,
 * and never changes.
 */
public final class Rows extends AbstractList<Row> {
  private final List<Column> columns;
  private final List<Row> rows;
  private final long totalCount;
  private final long version;

  Rows(List<Column> columns, List<Row> rows, long totalCount, long version) {
    this.columns = columns;
    this.rows = rows;
    this.totalCount = totalCount;
    this.version = version;
  }

  /** The columns, in order. */
  public List<Column> columns() {
    return columns;
  }

  /** The number of rows of the whole result, of which these may be a part. */
  public long totalCount() {
    return totalCount;
  }

  /** The version at which these rows are the result. */
  public long version() {
    return version;
  }

  @Override
  public Row get(int index) {
    return rows.get(index);
  }

  @Override
  public int size() {
    return rows.size();
  }
}
