package io.tesseractgrpc.client;

import io.tesseractgrpc.v1.RowBatch;
import io.tesseractgrpc.v1.WriteOperation;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * One write to one table; {@link Hub#commit} makes a commit of one or several.
 *
 * <p>A row is a map from column names to values: a {@link Row}, or any other. A column that it does
 * not have means something: it keeps its value in an update and takes its default in an insert.
 */
public final class Write {
  private enum Kind {
    INSERT,
    UPSERT,
    UPDATE,
    DELETE
  }

  /** A part of a write as the wire has it, and which of the rows of the write is its first. */
  record Part(WriteOperation operation, int firstRow) {}

  private final Kind kind;
  private final Table table;
  private final List<? extends Map<String, ?>> rows;
  private final List<?> keys;

  private Write(
      Kind kind, Table table, Collection<? extends Map<String, ?>> rows, Collection<?> keys) {
    this.kind = kind;
    this.table = table;
    this.rows = new ArrayList<>(rows);
    this.keys = new ArrayList<>(keys);
  }

  /** Adds new rows; a key that exists refuses the commit. */
  public static Write insert(Table table, Collection<? extends Map<String, ?>> rows) {
    return new Write(Kind.INSERT, table, rows, List.of());
  }

  /** Adds the rows whose key is new, and replaces the given columns of the others. */
  public static Write upsert(Table table, Collection<? extends Map<String, ?>> rows) {
    return new Write(Kind.UPSERT, table, rows, List.of());
  }

  /** Replaces the given columns of rows that exist; a key that does not refuses the commit. */
  public static Write update(Table table, Collection<? extends Map<String, ?>> rows) {
    return new Write(Kind.UPDATE, table, rows, List.of());
  }

  /**
   * Deletes rows; keys that do not exist are skipped.
   *
   * @param keys each the value of the key column, a list of the values of a composite key, or a map
   */
  public static Write delete(Table table, Collection<?> keys) {
    return new Write(Kind.DELETE, table, List.of(), keys);
  }

  /** Rows with different sets of columns are several operations, in their order. */
  List<Part> parts() {
    if (kind == Kind.DELETE || rows.isEmpty()) {
      return List.of(new Part(operation(Batch.encodeKeys(table.layout, keys)), 0));
    }
    List<Part> parts = new ArrayList<>();
    for (int start = 0, end; start < rows.size(); start = end) {
      Map<String, ?> like = rows.get(start);
      Set<String> names = like.keySet();
      for (end = start + 1; end < rows.size() && sameColumns(like, rows.get(end)); ) {
        end++;
      }
      int first = start;
      try {
        List<String> order = table.layout.names.stream().filter(like::containsKey).toList();
        Collection<String> columns = order.size() == names.size() ? order : names;
        parts.add(
            new Part(
                operation(Batch.encode(table.layout, columns, rows.subList(start, end))), start));
      } catch (TesseractException e) {
        throw e.placed(
            row -> new RowError(0, row.row() + first, row.column(), row.reason(), row.message()));
      }
    }
    return parts;
  }

  private static boolean sameColumns(Map<String, ?> one, Map<String, ?> other) {
    return one instanceof Row row && other instanceof Row another && row.columns == another.columns
        || one.keySet().equals(other.keySet());
  }

  private WriteOperation operation(RowBatch batch) {
    WriteOperation.Builder operation = WriteOperation.newBuilder().setTable(table.name());
    Consumer<RowBatch> set =
        switch (kind) {
          case INSERT -> operation.getInsertBuilder()::setRows;
          case UPSERT -> operation.getUpsertBuilder()::setRows;
          case UPDATE -> operation.getUpdateBuilder()::setRows;
          case DELETE -> operation.getDeleteBuilder()::setKeys;
        };
    set.accept(batch);
    return operation.build();
  }
}
