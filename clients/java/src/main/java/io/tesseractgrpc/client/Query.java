package io.tesseractgrpc.client;

import io.tesseractgrpc.v1.FilterList;
import io.tesseractgrpc.v1.SortDirection;
import io.tesseractgrpc.v1.SortKey;
import io.tesseractgrpc.v1.Source;
import java.util.List;

/**
 * What is asked: where rows come from, which, which columns, in what order. Immutable: every method
 * returns another query.
 *
 * <p>What has no word here (joins, groups, computed and window columns, trees) is said with the
 * message itself: {@link #of(io.tesseractgrpc.v1.Query)} and {@link #wire()}.
 */
public final class Query {
  private final io.tesseractgrpc.v1.Query wire;

  private Query(io.tesseractgrpc.v1.Query.Builder wire) {
    this.wire = wire.build();
  }

  /** All rows of a table, in the order in which they came. */
  public static Query table(String id) {
    return new Query(io.tesseractgrpc.v1.Query.newBuilder().setTable(id));
  }

  /** All rows that a session shows. */
  public static Query session(String id) {
    return new Query(
        io.tesseractgrpc.v1.Query.newBuilder().setSource(Source.newBuilder().setSession(id)));
  }

  /** Any query, as its message. */
  public static Query of(io.tesseractgrpc.v1.Query wire) {
    return new Query(wire.toBuilder());
  }

  /** The message. */
  public io.tesseractgrpc.v1.Query wire() {
    return wire;
  }

  /**
   * Only the rows for which an expression is true, beside what is asked for already.
   *
   * @param expression for example {@code price >= 10 && name ~ "ad"}
   */
  public Query where(String expression) {
    io.tesseractgrpc.v1.Filter filter =
        io.tesseractgrpc.v1.Filter.newBuilder().setCustom(expression).build();
    if (wire.hasFilter()) {
      FilterList both =
          FilterList.newBuilder().addFilters(wire.getFilter()).addFilters(filter).build();
      filter = io.tesseractgrpc.v1.Filter.newBuilder().setAllOf(both).build();
    }
    return new Query(wire.toBuilder().setFilter(filter));
  }

  /** Only these columns, in this order; those of the key are always among them. */
  public Query columns(String... names) {
    return new Query(wire.toBuilder().clearColumns().addAllColumns(List.of(names)));
  }

  /** By rising values of a column, behind what it is sorted by already. Nulls are last. */
  public Query sort(String column) {
    return sort(column, SortDirection.SORT_DIRECTION_ASCENDING);
  }

  /** By falling values of a column, behind what it is sorted by already. Nulls are last. */
  public Query sortDescending(String column) {
    return sort(column, SortDirection.SORT_DIRECTION_DESCENDING);
  }

  private Query sort(String column, SortDirection direction) {
    return new Query(
        wire.toBuilder().addSort(SortKey.newBuilder().setColumn(column).setDirection(direction)));
  }

  @Override
  public String toString() {
    return wire.toString();
  }
}
