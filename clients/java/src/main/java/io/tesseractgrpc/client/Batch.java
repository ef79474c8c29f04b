package io.tesseractgrpc.client;

import com.google.protobuf.ByteString;
import io.tesseractgrpc.v1.BoolValues;
import io.tesseractgrpc.v1.ColumnData;
import io.tesseractgrpc.v1.DictionaryValues;
import io.tesseractgrpc.v1.Float64Values;
import io.tesseractgrpc.v1.Int64Values;
import io.tesseractgrpc.v1.RowBatch;
import io.tesseractgrpc.v1.StringValues;
import io.tesseractgrpc.v1.TimestampValues;
import java.math.BigInteger;
import java.time.Instant;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Rows of users as columns on the wire. Values are checked here, and refused under the reasons that
 * the server has.
 */
final class Batch {
  /** From this many rows on, texts travel as a dictionary; below, one by one. */
  private static final int DICTIONARY_FROM = 32;

  private Batch() {}

  /** Some rows, all with these columns. */
  static RowBatch encode(
      Columns columns, Collection<String> names, List<? extends Map<String, ?>> rows) {
    RowBatch.Builder batch = RowBatch.newBuilder().setRowCount(rows.size());
    for (String name : names) {
      DataType type = columns.typeOf(name);
      if (type == null) {
        String known = String.join(", ", columns.names);
        throw TesseractException.invalid(
            "UNKNOWN_COLUMN", "no column '" + name + "'; there are " + known, name);
      }
      List<Object> values = new ArrayList<>(rows.size());
      for (int row = 0; row < rows.size(); row++) {
        values.add(checked(type, rows.get(row).get(name), name, row));
      }
      batch.addColumns(column(name, type, values));
    }
    return batch.build();
  }

  /**
   * The keys of some rows: each the value of the key column, a list of the parts of a composite
   * key, or a map.
   */
  static RowBatch encodeKeys(Columns columns, Collection<?> keys) {
    List<Map<String, Object>> rows = new ArrayList<>(keys.size());
    for (Object key : keys) {
      Map<String, Object> row = new HashMap<>();
      if (key instanceof Map<?, ?> map) {
        columns.key.forEach(name -> row.put(name, map.get(name)));
      } else {
        List<?> parts = key instanceof List<?> list ? list : Collections.singletonList(key);
        if (parts.size() != columns.key.size()) {
          String wanted = String.join(", ", columns.key);
          throw TesseractException.invalid(
              "MISSING_KEY", "the key " + key + " must be of (" + wanted + ")", "keys");
        }
        for (int part = 0; part < parts.size(); part++) {
          row.put(columns.key.get(part), parts.get(part));
        }
      }
      rows.add(row);
    }
    return encode(columns, columns.key, rows);
  }

  private static ColumnData column(String name, DataType type, List<Object> values) {
    ColumnData.Builder column = ColumnData.newBuilder().setName(name);
    if (values.contains(null)) {
      BitSet valid = new BitSet();
      for (int row = 0; row < values.size(); row++) {
        valid.set(row, values.get(row) != null);
      }
      byte[] bits = new byte[(values.size() + 7) / 8];
      byte[] set = valid.toByteArray();
      System.arraycopy(set, 0, bits, 0, set.length);
      column.setValidity(ByteString.copyFrom(bits));
      if (set.length == 0) {
        return column.build(); // unset values: every row is null
      }
    }
    switch (type) {
      case BOOL -> {
        BoolValues.Builder bools = column.getBoolsBuilder();
        values.forEach(value -> bools.addValues(value != null && (Boolean) value));
      }
      case INT64 -> {
        Int64Values.Builder longs = column.getInt64SBuilder();
        values.forEach(value -> longs.addValues(value == null ? 0 : (Long) value));
      }
      case FLOAT64 -> {
        Float64Values.Builder doubles = column.getFloat64SBuilder();
        values.forEach(value -> doubles.addValues(value == null ? 0 : (Double) value));
      }
      case TIMESTAMP -> {
        TimestampValues.Builder times = column.getTimestampsBuilder();
        values.forEach(value -> times.addValues(value == null ? 0 : (Long) value));
      }
      default -> texts(column, values);
    }
    return column.build();
  }

  private static void texts(ColumnData.Builder column, List<Object> values) {
    if (values.size() < DICTIONARY_FROM) {
      StringValues.Builder strings = column.getStringsBuilder();
      values.forEach(value -> strings.addValues(value == null ? "" : (String) value));
      return;
    }
    DictionaryValues.Builder dictionary = column.getDictionaryBuilder();
    Map<Object, Integer> codes = new HashMap<>();
    for (Object value : values) {
      Integer code = value == null ? Integer.valueOf(0) : codes.get(value);
      if (code == null) {
        code = codes.size();
        codes.put(value, code);
        dictionary.addDictionary((String) value);
      }
      dictionary.addCodes(code);
    }
  }

  /** The value as the wire has it: Boolean, Long, Double, microseconds as Long, String, or null. */
  private static Object checked(DataType type, Object value, String column, int row) {
    if (value == null) {
      return null;
    }
    Object found =
        switch (type) {
          case BOOL -> value instanceof Boolean ? value : null;
          case INT64 -> whole(value);
          case FLOAT64 -> number(value);
          case TIMESTAMP -> value instanceof Instant at ? (Object) microsecondsOf(at) : null;
          default -> text(value);
        };
    if (found != null) {
      return found;
    }
    boolean large = type == DataType.INT64 && value instanceof BigInteger;
    String reason = large ? "INT64_OVERFLOW" : "WRONG_TYPE";
    String shown = String.valueOf(value);
    String message =
        "column '"
            + column
            + "' is "
            + type
            + " and cannot hold "
            + value.getClass().getSimpleName()
            + " "
            + shown.substring(0, Math.min(60, shown.length()));
    throw TesseractException.local(
        large ? io.grpc.Status.Code.OUT_OF_RANGE : io.grpc.Status.Code.INVALID_ARGUMENT,
        reason,
        message,
        column,
        new RowError(0, row, column, reason, message));
  }

  private static Long whole(Object value) {
    if (value instanceof Long
        || value instanceof Integer
        || value instanceof Short
        || value instanceof Byte) {
      return ((Number) value).longValue();
    }
    return value instanceof BigInteger big && big.bitLength() < Long.SIZE
        ? Long.valueOf(big.longValue())
        : null;
  }

  private static Double number(Object value) {
    if (value instanceof Double || value instanceof Float) {
      return ((Number) value).doubleValue();
    }
    Long whole = whole(value);
    boolean exact =
        whole != null
            && BigInteger.valueOf(whole)
                .equals(new java.math.BigDecimal(whole.doubleValue()).toBigInteger());
    return exact ? Double.valueOf(whole.doubleValue()) : null;
  }

  /**
   * A text; null when it is none, or not Unicode (half of a surrogate pair), which would be sent as
   * something else.
   */
  private static String text(Object value) {
    if (!(value instanceof CharSequence) && !(value instanceof Enum<?>)) {
      return null;
    }
    String text = value instanceof Enum<?> name ? name.name() : value.toString();
    boolean unicode =
        text.codePoints()
            .noneMatch(
                point -> point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE);
    return unicode ? text : null;
  }

  /** The microsecond in which a point in time lies; OUT_OF_RANGE beyond 292,000 years. */
  static long microsecondsOf(Instant at) {
    try {
      long seconds = at.getEpochSecond();
      int micros = at.getNano() / 1000;
      return seconds < 0 && micros > 0
          ? Math.addExact(Math.multiplyExact(seconds + 1, 1_000_000L), micros - 1_000_000L)
          : Math.addExact(Math.multiplyExact(seconds, 1_000_000L), micros);
    } catch (ArithmeticException e) {
      throw TesseractException.invalid("WRONG_TYPE", at + " is too far away for a timestamp", "");
    }
  }
}
