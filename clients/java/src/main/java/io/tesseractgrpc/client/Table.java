package io.tesseractgrpc.client;

import io.tesseractgrpc.v1.GetRowsRequest;
import io.tesseractgrpc.v1.GetRowsResponse;
import io.tesseractgrpc.v1.TableServiceGrpc;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A table of a hub, as its columns were when it was created or asked for. It keeps no rows, and may
 * be shared by threads.
 */
public final class Table {
  final Columns layout;
  private final Hub hub;
  private final io.tesseractgrpc.v1.Table wire;

  Table(Hub hub, io.tesseractgrpc.v1.Table wire) {
    this.hub = hub;
    this.wire = wire;
    this.layout = Columns.of(wire.getColumnsList());
  }

  /** The id of the table. */
  public String id() {
    return wire.getName().substring(wire.getName().lastIndexOf('/') + 1);
  }

  /**
   * The resource name of the table.
   *
   * @return {@code hubs/{hub}/tables/{table}}
   */
  public String name() {
    return wire.getName();
  }

  /** Its columns, in order. */
  public List<Column> columns() {
    return Column.listOf(wire.getColumnsList());
  }

  /** All rows of the table: the query to narrow down. */
  public Query query() {
    return Query.table(name());
  }

  /**
   * Adds new rows, in one commit; a key that exists refuses all of them.
   *
   * @param rows the rows, see {@link Write}
   * @return the version of the commit
   */
  public long insert(Collection<? extends Map<String, ?>> rows) {
    return hub.commit(List.of(Write.insert(this, rows)));
  }

  /**
   * Adds the rows whose key is new and replaces the given columns of the others, in one commit.
   *
   * @param rows the rows, see {@link Write}
   * @return the version of the commit
   */
  public long upsert(Collection<? extends Map<String, ?>> rows) {
    return hub.commit(List.of(Write.upsert(this, rows)));
  }

  /**
   * Replaces the given columns of rows that exist, in one commit.
   *
   * @param rows the rows, see {@link Write}
   * @return the version of the commit
   */
  public long update(Collection<? extends Map<String, ?>> rows) {
    return hub.commit(List.of(Write.update(this, rows)));
  }

  /**
   * Deletes rows, in one commit; keys that do not exist are skipped.
   *
   * @param keys each the value of the key column, a list of the values of a composite key, or a map
   * @return the version of the commit
   */
  public long delete(Collection<?> keys) {
    return hub.commit(List.of(Write.delete(this, keys)));
  }

  /**
   * The rows with these keys, in this order; keys that do not exist are left out.
   *
   * @param keys each the value of the key column, a list of the values of a composite key, or a map
   * @param minVersion waits until this version is visible; 0: does not wait
   */
  public Rows get(Collection<?> keys, long minVersion) {
    GetRowsRequest request =
        GetRowsRequest.newBuilder()
            .setTable(name())
            .setKeys(Batch.encodeKeys(layout, keys))
            .setMinVersion(minVersion)
            .build();
    GetRowsResponse response = hub.call(TableServiceGrpc.getGetRowsMethod(), request);
    List<Row> rows = Hub.decoded(() -> Block.decode(response.getRows(), layout).partialRows(null));
    return new Rows(columns(), rows, rows.size(), response.getVersion());
  }

  /**
   * The row with this key.
   *
   * @param key the value of the key column, a list of the values of a composite key, or a map
   * @return the row; empty when there is none
   */
  public Optional<Row> get(Object key) {
    return get(java.util.Collections.singletonList(key), 0).stream().findFirst();
  }
}
