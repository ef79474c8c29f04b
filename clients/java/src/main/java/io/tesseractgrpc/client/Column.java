package io.tesseractgrpc.client;

import io.tesseractgrpc.v1.Value;
import java.time.Instant;
import java.util.List;

/**
 * One column of a table or of a result.
 *
 * @param type the type of its values
 * @param key whether it is part of the key, which names rows
 * @param required whether nulls are refused
 * @param names of an ENUM column: its names, in order
 * @param wire everything that the server knows of it, defaults and expressions among it
 */
public record Column(
    String name,
    DataType type,
    boolean key,
    boolean required,
    List<String> names,
    io.tesseractgrpc.v1.Column wire) {
  /** A column of a new table; nulls are allowed. */
  public static Column of(String name, DataType type) {
    return of(io.tesseractgrpc.v1.Column.newBuilder().setName(name).setType(type.wire()).build());
  }

  /** A key column of a new table. */
  public static Column key(String name, DataType type) {
    return of(of(name, type).wire.toBuilder().setPrimaryKey(true).build());
  }

  /**
   * An ENUM column of a new table.
   *
   * @param names the allowed names, in their sort order
   */
  public static Column enumOf(String name, String... names) {
    return of(of(name, DataType.ENUM).wire.toBuilder().addAllEnumValues(List.of(names)).build());
  }

  /**
   * A column from its message, which knows more than this record has words for: computed columns,
   * for example.
   */
  public static Column of(io.tesseractgrpc.v1.Column wire) {
    DataType type = DataType.of(wire.getTypeValue());
    List<String> names = List.copyOf(wire.getEnumValuesList());
    return new Column(wire.getName(), type, wire.getPrimaryKey(), wire.getRequired(), names, wire);
  }

  /** The same column, which refuses nulls. */
  public Column asRequired() {
    return of(wire.toBuilder().setRequired(true).build());
  }

  /**
   * The same column, with what an insert stores when it does not mention it.
   *
   * @param value the value; null for null
   */
  public Column withDefault(Object value) {
    return of(wire.toBuilder().setDefaultValue(valueOf(value)).build());
  }

  static List<Column> listOf(List<io.tesseractgrpc.v1.Column> columns) {
    return columns.stream().map(Column::of).toList();
  }

  /** One value, on its own. */
  static Value valueOf(Object value) {
    Value.Builder found = Value.newBuilder();
    if (value instanceof Boolean bool) {
      found.setBoolValue(bool);
    } else if (value instanceof Double || value instanceof Float) {
      found.setFloat64Value(((Number) value).doubleValue());
    } else if (value instanceof Number number) {
      found.setInt64Value(number.longValue());
    } else if (value instanceof Instant at) {
      found.setTimestampValue(Batch.microsecondsOf(at));
    } else if (value != null) {
      found.setStringValue(value.toString());
    }
    return found.build();
  }
}
