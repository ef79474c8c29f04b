package io.tesseractgrpc.client;

import java.time.Instant;
import java.util.AbstractMap;
import java.util.AbstractSet;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * One row: an immutable map from column names to values, in the order of the columns.
 *
 * <p>The Java types of the values are those of {@link DataType}; null is null. Rows of one result
 * share their column names, so a row costs little more than its values. Equality is that of maps;
 * NaN equals itself.
 */
public final class Row extends AbstractMap<String, Object> {
  private static volatile Columns last = Columns.NONE;

  final Columns columns;
  final Object[] values;

  Row(Columns columns, Object[] values) {
    this.columns = columns;
    this.values = values;
  }

  /**
   * A row to write, from names and values in turn: {@code Row.of("id", 1, "name", null)}. Unlike
   * {@link Map#of()} it takes nulls.
   *
   * @param namesAndValues a name, its value, the next name, and so on
   * @throws IllegalArgumentException when a name is no text, comes twice, or has no value
   */
  public static Row of(Object... namesAndValues) {
    if (namesAndValues.length % 2 != 0) {
      throw new IllegalArgumentException("a name without a value");
    }
    List<String> names = new ArrayList<>();
    Object[] values = new Object[namesAndValues.length / 2];
    for (int at = 0; at < values.length; at++) {
      if (!(namesAndValues[2 * at] instanceof String name) || names.contains(name)) {
        throw new IllegalArgumentException(
            "not the name of another column: " + namesAndValues[2 * at]);
      }
      names.add(name);
      values[at] = namesAndValues[2 * at + 1];
    }
    return new Row(shared(names), values);
  }

  /**
   * Rows that are made one after the other mostly have the same columns: one object is enough for
   * them.
   */
  private static Columns shared(List<String> names) {
    Columns before = last;
    if (before.names.equals(names)) {
      return before;
    }
    List<DataType> unknown = names.stream().map(name -> DataType.UNKNOWN).toList();
    return last = new Columns(names, unknown, List.of());
  }

  @Override
  public Object get(Object column) {
    int at = columns.at(column);
    return at < 0 ? null : values[at];
  }

  @Override
  public boolean containsKey(Object column) {
    return columns.at(column) >= 0;
  }

  /** Whether a column is null. */
  public boolean isNull(String column) {
    return value(column) == null;
  }

  /**
   * The value of a BOOL column.
   *
   * @return the value, or null
   * @throws ClassCastException when it has another type; so do all the following
   */
  public Boolean getBoolean(String column) {
    return (Boolean) value(column);
  }

  /**
   * The value of an INT64 column.
   *
   * @return the value, or null
   */
  public Long getLong(String column) {
    return (Long) value(column);
  }

  /**
   * The value of a FLOAT64 column.
   *
   * @return the value, or null
   */
  public Double getDouble(String column) {
    return (Double) value(column);
  }

  /**
   * The value of a STRING, JSON or ENUM column.
   *
   * @return the text, or null
   */
  public String getString(String column) {
    return (String) value(column);
  }

  /**
   * The value of a TIMESTAMP column.
   *
   * @return the point in time, in whole microseconds, or null
   */
  public Instant getInstant(String column) {
    return (Instant) value(column);
  }

  private Object value(String column) {
    int at = columns.at(column);
    if (at < 0) {
      throw new IllegalArgumentException(
          "no column '" + column + "'; there are " + String.join(", ", columns.names));
    }
    return values[at];
  }

  @Override
  public Set<Map.Entry<String, Object>> entrySet() {
    return new AbstractSet<>() {
      @Override
      public Iterator<Map.Entry<String, Object>> iterator() {
        return IntStream.range(0, values.length)
            .<Map.Entry<String, Object>>mapToObj(
                at -> new SimpleImmutableEntry<>(columns.names.get(at), values[at]))
            .iterator();
      }

      @Override
      public int size() {
        return values.length;
      }
    };
  }
}
