package io.tesseractgrpc.client;

import io.tesseractgrpc.client.MirrorEvent.Delta;
import io.tesseractgrpc.client.MirrorEvent.Snapshot;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The rows of a watched window: a pure state machine that applies events at consistent points.
 *
 * <p>Every row has a slot; {@code order} holds slots in the order of the window. A delta is applied
 * in the order that the wire contract writes: rows that leave or move are taken out of the order,
 * and those that move or come are put at their positions, which are positions after the whole
 * delta. The rows that stay fill the places in between, in their old order.
 *
 * <p>Everything is checked before anything is written, so a delta that does not fit is {@link
 * StreamBroken} and leaves the rows as they were. Rows are replaced and never edited: those that a
 * reader got stay what they were.
 *
 * <p>A snapshot and a delta cost O(changes), and what moves rows also O(window) in integers.
 */
final class Replica {
  /** Whether a snapshot is there. */
  boolean loaded;

  long version;
  long totalCount;
  String epoch = "";
  List<String> key = List.of();
  Columns columns = Columns.NONE;

  private int[] order = {};
  private final List<Row> rows = new ArrayList<>();
  private Map<Object, Integer> slotOf = new HashMap<>();
  private final List<Integer> free = new ArrayList<>();

  int size() {
    return order.length;
  }

  /** The rows from a position on, at most so many. */
  List<Row> rows(int start, int limit) {
    int from = Math.min(start, order.length);
    int to = limit < order.length - from ? from + limit : order.length;
    List<Row> found = new ArrayList<>(to - from);
    for (int at = from; at < to; at++) {
      found.add(rows.get(order[at]));
    }
    return found;
  }

  /** Nothing else happened up to a version. */
  void arrive(long version, long totalCount) {
    this.version = version;
    this.totalCount = totalCount;
  }

  void load(Snapshot snapshot, Columns columns) {
    Map<Object, Integer> slots = new HashMap<>(2 * snapshot.rows().size());
    int[] keyAt = snapshot.key().stream().mapToInt(columns::at).toArray();
    for (Row row : snapshot.rows()) {
      if (slots.put(keyOf(row, keyAt), slots.size()) != null) {
        throw StreamBroken.malformed("a key stands twice in one snapshot");
      }
    }
    rows.clear();
    rows.addAll(snapshot.rows());
    slotOf = slots;
    free.clear();
    order = new int[rows.size()];
    Arrays.setAll(order, slot -> slot);
    key = snapshot.key();
    this.columns = columns;
    epoch = snapshot.epoch();
    loaded = true;
    arrive(snapshot.version(), snapshot.totalCount());
  }

  private static Object keyOf(Row row, int[] keyAt) {
    if (keyAt.length == 1) {
      return row.values[keyAt[0]];
    }
    return Arrays.asList(Arrays.stream(keyAt).mapToObj(at -> row.values[at]).toArray());
  }

  void change(Delta delta) {
    if (!loaded) {
      throw StreamBroken.disorder("a change came before the snapshot");
    }
    List<Object> removed = new ArrayList<>();
    delta.removed.forEach(part -> removed.addAll(part.keys().keys(key)));
    List<int[]> updated = delta.updated.stream().map(part -> slots(part.keys(key))).toList();
    List<Object> moved = new ArrayList<>();
    delta.moved.forEach(part -> moved.addAll(part.rows().keys(key)));
    List<Object> come = new ArrayList<>();
    delta.inserted.forEach(part -> come.addAll(part.rows().keys(key)));
    int[] leaving = slots(removed);
    int[] moving = slots(moved);
    checkKeys(removed, leaving, updated, come);
    if (delta.edited != null) {
      checkEdit(delta, leaving, updated);
    }
    int[] stay = without(leaving, moving);
    int[] places = places(delta);
    BitSet given = given(stay.length + places.length, places);

    removed.forEach(slotOf::remove);
    for (int slot : leaving) {
      rows.set(slot, null);
      free.add(slot);
    }
    if (delta.edited != null) {
      reshape(delta.edited);
    }
    for (int part = 0; part < updated.size(); part++) {
      overwrite(delta.updated.get(part), updated.get(part));
    }
    int[] placed = Arrays.copyOf(moving, places.length);
    int next = moving.length;
    for (Delta.Placed part : delta.inserted) {
      for (Row row : part.rows().rows()) {
        placed[next] = takeSlot(come.get(next - moving.length), row);
        next++;
      }
    }
    if (leaving.length + places.length > 0) {
      order = scattered(stay, given, places, placed);
    }
    arrive(delta.version(), delta.totalCount());
  }

  private int[] slots(List<Object> keys) {
    int[] slots = new int[keys.size()];
    for (int at = 0; at < slots.length; at++) {
      Integer slot = slotOf.get(keys.get(at));
      if (slot == null) {
        throw StreamBroken.malformed(
            "a change names the row " + keys.get(at) + ", which is not in the window");
      }
      slots[at] = slot;
    }
    return slots;
  }

  private void checkKeys(
      List<Object> removed, int[] leaving, List<int[]> updated, List<Object> come) {
    Set<Object> comes = new HashSet<>(come);
    if (new HashSet<>(removed).size() != removed.size() || comes.size() != come.size()) {
      throw StreamBroken.malformed("a row leaves or comes twice in one change");
    }
    if (comes.stream().anyMatch(slotOf::containsKey)) {
      throw StreamBroken.malformed("a row comes that is there already");
    }
    BitSet gone = bits(leaving);
    if (updated.stream().flatMapToInt(Arrays::stream).anyMatch(gone::get)) {
      throw StreamBroken.malformed("a row leaves and is updated in one change");
    }
  }

  /** Demands of a delta with other columns that it has the new ones for every row that stays. */
  private void checkEdit(Delta delta, int[] leaving, List<int[]> updated) {
    List<String> names = new ArrayList<>(delta.edited.columns().names);
    names.removeAll(delta.edited.kept());
    if (names.isEmpty()) {
      return;
    }
    BitSet known = bits(leaving);
    for (int part = 0; part < updated.size(); part++) {
      Block block = delta.updated.get(part);
      if (names.stream().allMatch(name -> block.column(name) >= 0)) {
        Arrays.stream(updated.get(part)).forEach(known::set);
      }
    }
    if (known.cardinality() != order.length) {
      throw StreamBroken.malformed("after an edit, a row that stays lacks a new column");
    }
  }

  /** The order without the rows that leave or are about to be placed anew. */
  private int[] without(int[] leaving, int[] moving) {
    if (leaving.length + moving.length == 0) {
      return order;
    }
    BitSet gone = bits(leaving);
    Arrays.stream(moving).forEach(gone::set);
    if (gone.cardinality() != leaving.length + moving.length) {
      throw StreamBroken.malformed("a row moves twice, or moves and leaves, in one change");
    }
    int[] stay = new int[order.length - leaving.length - moving.length];
    int next = 0;
    for (int slot : order) {
      if (!gone.get(slot)) {
        stay[next++] = slot;
      }
    }
    return stay;
  }

  private static int[] places(Delta delta) {
    List<Integer> places = new ArrayList<>();
    for (List<Delta.Placed> kind : List.of(delta.moved, delta.inserted)) {
      for (Delta.Placed part : kind) {
        if (part.indexes().size() != part.rows().count()) {
          throw StreamBroken.malformed(
              part.rows().count() + " rows are placed at " + part.indexes().size() + " positions");
        }
        places.addAll(part.indexes());
      }
    }
    return places.stream().mapToInt(Integer::intValue).toArray();
  }

  /** Which positions of the new order are given. */
  private static BitSet given(int length, int[] places) {
    BitSet given = new BitSet(places.length == 0 ? 0 : length);
    for (int place : places) {
      if (place < 0 || place >= length) {
        throw StreamBroken.malformed(
            "position " + Integer.toUnsignedString(place) + " in a window of " + length + " rows");
      }
      if (given.get(place)) {
        throw StreamBroken.malformed("two rows are placed at one position");
      }
      given.set(place);
    }
    return given;
  }

  private static int[] scattered(int[] stay, BitSet given, int[] places, int[] placed) {
    int[] order = new int[stay.length + places.length];
    for (int at = 0; at < places.length; at++) {
      order[places[at]] = placed[at];
    }
    int next = 0;
    for (int at = given.nextClearBit(0); at < order.length; at = given.nextClearBit(at + 1)) {
      order[at] = stay[next++];
    }
    return order;
  }

  /**
   * Brings the rows that stay into the new columns; those that are new are written by the updates.
   */
  private void reshape(Delta.Edited edited) {
    int[] from = new int[edited.columns().size()];
    Arrays.setAll(
        from,
        at ->
            edited.kept().contains(edited.columns().names.get(at))
                ? columns.at(edited.columns().names.get(at))
                : -1);
    columns = edited.columns();
    rows.replaceAll(
        row -> {
          if (row == null) {
            return null;
          }
          Object[] cells = new Object[from.length];
          Arrays.setAll(cells, at -> from[at] < 0 ? null : row.values[from[at]]);
          return new Row(edited.columns(), cells);
        });
  }

  private void overwrite(Block block, int[] slots) {
    for (int row = 0; row < slots.length; row++) {
      Object[] cells = rows.get(slots[row]).values.clone();
      block.overwrite(row, cells);
      rows.set(slots[row], new Row(columns, cells));
    }
  }

  private int takeSlot(Object name, Row row) {
    int slot;
    if (free.isEmpty()) {
      slot = rows.size();
      rows.add(row);
    } else {
      slot = free.remove(free.size() - 1);
      rows.set(slot, row);
    }
    slotOf.put(name, slot);
    return slot;
  }

  private static BitSet bits(int[] slots) {
    BitSet bits = new BitSet();
    Arrays.stream(slots).forEach(bits::set);
    return bits;
  }
}
