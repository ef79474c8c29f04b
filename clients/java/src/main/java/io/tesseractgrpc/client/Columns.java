package io.tesseractgrpc.client;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The columns that rows share: names and types in order, and which of them name a row. */
final class Columns {
  static final Columns NONE = new Columns(List.of(), List.of(), List.of());

  final List<String> names;
  final List<DataType> types;
  final List<String> key;
  private final Map<String, Integer> places = new HashMap<>();

  Columns(List<String> names, List<DataType> types, Collection<String> key) {
    this.names = List.copyOf(names);
    this.types = List.copyOf(types);
    this.key = List.copyOf(key);
    for (int at = 0; at < names.size(); at++) {
      places.put(names.get(at), at);
    }
  }

  static Columns of(Collection<io.tesseractgrpc.v1.Column> columns) {
    List<String> names = new ArrayList<>();
    List<DataType> types = new ArrayList<>();
    List<String> key = new ArrayList<>();
    for (io.tesseractgrpc.v1.Column column : columns) {
      names.add(column.getName());
      types.add(DataType.of(column.getTypeValue()));
      if (column.getPrimaryKey()) {
        key.add(column.getName());
      }
    }
    return new Columns(names, types, key);
  }

  int size() {
    return names.size();
  }

  /** The place of a column, or -1 when there is none of this name. */
  int at(Object name) {
    Integer place = places.get(name);
    return place == null ? -1 : place;
  }

  DataType typeOf(String name) {
    int at = at(name);
    return at < 0 ? null : types.get(at);
  }

  boolean sameAs(Columns other) {
    return names.equals(other.names) && types.equals(other.types) && key.equals(other.key);
  }
}
