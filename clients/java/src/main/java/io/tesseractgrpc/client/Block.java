package io.tesseractgrpc.client;

import com.google.protobuf.ByteString;
import io.tesseractgrpc.v1.ColumnData;
import io.tesseractgrpc.v1.RowBatch;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;

/**
 * Some rows as they came: values column by column, and the place of each of these columns among
 * those of the stream.
 *
 * <p>What does not hold together is refused as malformed; what a batch may claim of memory is
 * bounded by what it holds.
 */
record Block(int count, Columns columns, int[] at, Object[][] values) {
  static Block decode(RowBatch batch, Columns columns) {
    int count = batch.getRowCount();
    int[] at = new int[batch.getColumnsCount()];
    Object[][] values = new Object[at.length][];
    boolean[] seen = new boolean[columns.size()];
    boolean anything = false;
    for (int column = 0; column < at.length; column++) {
      ColumnData data = batch.getColumns(column);
      at[column] = columns.at(data.getName());
      if (at[column] < 0 || seen[at[column]]) {
        throw StreamBroken.malformed("column '" + data.getName() + "' is unknown, or comes twice");
      }
      seen[at[column]] = true;
      values[column] = decode(data, count, columns.types.get(at[column]));
      anything |= values[column] != null;
    }
    if (count < 0 || (count > 1 && !anything)) {
      throw StreamBroken.malformed(
          "a batch claims " + Integer.toUnsignedString(count) + " rows and has no values");
    }
    return new Block(count, columns, at, values);
  }

  /** The values of a column; null when all of them are. */
  private static Object[] decode(ColumnData data, int count, DataType type) {
    DataType found;
    int length;
    IntFunction<Object> value;
    switch (data.getValuesCase()) {
      case BOOLS -> {
        found = DataType.BOOL;
        length = data.getBools().getValuesCount();
        value = data.getBools().getValuesList()::get;
      }
      case INT64S -> {
        found = DataType.INT64;
        length = data.getInt64S().getValuesCount();
        value = data.getInt64S()::getValues;
      }
      case FLOAT64S -> {
        found = DataType.FLOAT64;
        length = data.getFloat64S().getValuesCount();
        value = data.getFloat64S()::getValues;
      }
      case TIMESTAMPS -> {
        found = DataType.TIMESTAMP;
        length = data.getTimestamps().getValuesCount();
        value = row -> instantOf(data.getTimestamps().getValues(row));
      }
      case STRINGS -> {
        found = DataType.STRING;
        length = data.getStrings().getValuesCount();
        value = data.getStrings()::getValues;
      }
      case DICTIONARY -> {
        found = DataType.STRING;
        length = data.getDictionary().getCodesCount();
        value = row -> text(data, data.getDictionary().getCodes(row));
      }
      default -> {
        return null;
      }
    }
    DataType wanted = type == DataType.JSON || type == DataType.ENUM ? DataType.STRING : type;
    if (length != count || (wanted != found && wanted != DataType.UNKNOWN)) {
      throw StreamBroken.malformed(
          "column '"
              + data.getName()
              + "' has "
              + length
              + " values of "
              + found
              + " in a batch of "
              + count
              + " rows");
    }
    ByteString valid = data.getValidity();
    if (!valid.isEmpty() && valid.size() != (count + 7) / 8) {
      throw StreamBroken.malformed(
          "column '" + data.getName() + "' has a bitmap of the wrong size");
    }
    Object[] values = new Object[count];
    for (int row = 0; row < count; row++) {
      if (valid.isEmpty() || (valid.byteAt(row >> 3) >> (row & 7) & 1) == 1) {
        values[row] = value.apply(row);
      }
    }
    return values;
  }

  private static String text(ColumnData data, int code) {
    if (code < 0 || code >= data.getDictionary().getDictionaryCount()) {
      throw StreamBroken.malformed(
          "column '" + data.getName() + "' has a code outside its dictionary");
    }
    return data.getDictionary().getDictionary(code);
  }

  static Instant instantOf(long microseconds) {
    return Instant.ofEpochSecond(
        Math.floorDiv(microseconds, 1_000_000L), Math.floorMod(microseconds, 1_000_000L) * 1000);
  }

  Object value(int row, int column) {
    return values[column] == null ? null : values[column][row];
  }

  /** What names each row in a lookup: the value of the key column, or a list of them. */
  List<Object> keys(List<String> names) {
    int[] from = new int[names.size()];
    for (int part = 0; part < from.length; part++) {
      from[part] = column(names.get(part));
      if (from[part] < 0 && count > 0) {
        throw StreamBroken.malformed("rows without their key column '" + names.get(part) + "'");
      }
    }
    List<Object> keys = new ArrayList<>(count);
    for (int row = 0; row < count; row++) {
      if (from.length == 1) {
        keys.add(value(row, from[0]));
        continue;
      }
      Object[] parts = new Object[from.length];
      for (int part = 0; part < parts.length; part++) {
        parts[part] = value(row, from[part]);
      }
      keys.add(Arrays.asList(parts));
    }
    return keys;
  }

  /** Where a column is among those of this block, or -1. */
  int column(String name) {
    int place = columns.at(name);
    for (int column = 0; column < at.length; column++) {
      if (at[column] == place) {
        return column;
      }
    }
    return -1;
  }

  /** The same rows; refused when a column is missing. */
  Block complete() {
    if (count > 0 && at.length != columns.size()) {
      throw StreamBroken.malformed(
          "complete rows have " + at.length + " of " + columns.size() + " columns");
    }
    return this;
  }

  /** Complete rows, in the order of the columns. */
  List<Row> rows() {
    List<Row> rows = new ArrayList<>(count);
    for (int row = 0; row < count; row++) {
      Object[] cells = new Object[columns.size()];
      overwrite(row, cells);
      rows.add(new Row(columns, cells));
    }
    return rows;
  }

  /** Writes the values of one row into the cells of a complete row. */
  void overwrite(int row, Object[] cells) {
    for (int column = 0; column < at.length; column++) {
      cells[at[column]] = value(row, column);
    }
  }

  /**
   * Rows of the columns that came, or of these among them, in the order of the stream's columns.
   */
  List<Row> partialRows(List<String> only) {
    int[] order =
        java.util.stream.IntStream.range(0, at.length)
            .filter(column -> only == null || only.contains(columns.names.get(at[column])))
            .boxed()
            .sorted(java.util.Comparator.comparingInt(column -> at[column]))
            .mapToInt(Integer::intValue)
            .toArray();
    List<String> names =
        Arrays.stream(order).mapToObj(column -> columns.names.get(at[column])).toList();
    List<DataType> types =
        Arrays.stream(order).mapToObj(column -> columns.types.get(at[column])).toList();
    Columns part = new Columns(names, types, columns.key);
    List<Row> rows = new ArrayList<>(count);
    for (int row = 0; row < count; row++) {
      int of = row;
      rows.add(new Row(part, Arrays.stream(order).mapToObj(column -> value(of, column)).toArray()));
    }
    return rows;
  }
}
