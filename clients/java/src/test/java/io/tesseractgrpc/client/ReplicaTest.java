package io.tesseractgrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import io.tesseractgrpc.v1.Begin;
import io.tesseractgrpc.v1.Changes;
import io.tesseractgrpc.v1.ColumnData;
import io.tesseractgrpc.v1.RowBatch;
import io.tesseractgrpc.v1.WatchSessionResponse;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Feed and replica: random windows, and what does not fit. */
class ReplicaTest {
  private static final Columns COLUMNS =
      new Columns(
          List.of("a", "b", "v"),
          List.of(DataType.INT64, DataType.STRING, DataType.INT64),
          List.of("a", "b"));

  private final Place place = new Place();
  private final Feed feed = new Feed(place, "first");
  private final Replica replica = new Replica();
  private long version = 1;

  private static Row row(int key, long value) {
    return new Row(COLUMNS, new Object[] {(long) key % 7, "key " + key, value});
  }

  private static RowBatch batch(List<String> names, List<Row> rows) {
    return Batch.encode(COLUMNS, names, rows);
  }

  private MirrorEvent receive(Consumer<WatchSessionResponse.Builder> what, long to) {
    WatchSessionResponse.Builder response =
        WatchSessionResponse.newBuilder()
            .setFromVersion(version)
            .setToVersion(to)
            .setResumeToken(ByteString.copyFromUtf8("token " + to));
    what.accept(response);
    MirrorEvent event = feed.receive(response.build());
    if (event instanceof MirrorEvent.Delta delta) {
      replica.change(delta);
    }
    version = to;
    return event;
  }

  private void begin(List<Row> rows) {
    Begin.Builder begin = Begin.newBuilder().setEpoch("epoch");
    for (int column = 0; column < COLUMNS.size(); column++) {
      begin.addColumns(
          io.tesseractgrpc.v1.Column.newBuilder()
              .setName(COLUMNS.names.get(column))
              .setType(COLUMNS.types.get(column).wire())
              .setPrimaryKey(column < 2));
    }
    receive(response -> response.setBegin(begin), 1);
    receive(
        response ->
            response
                .setContinued(true)
                .getSnapshotRowsBuilder()
                .setRows(batch(COLUMNS.names, rows)),
        1);
    MirrorEvent.Snapshot snapshot =
        (MirrorEvent.Snapshot)
            receive(
                response ->
                    response.getSnapshotEndBuilder().setRowCount(rows.size()).setTotalCount(99),
                1);
    replica.load(snapshot, place.columns);
  }

  /**
   * A window that changes at random, as the contract tells it, against lists that are edited by
   * hand.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
  void foldsRandomChanges(int seed) {
    Random random = new Random(seed);
    List<Row> window = new ArrayList<>();
    for (int key = 0; key < 20; key++) {
      window.add(row(key, key));
    }
    begin(window);
    int next = 100;
    for (int step = 2; step < 200; step++) {
      List<Row> mixed = new ArrayList<>(window);
      Collections.shuffle(mixed, random);
      List<Row> removed =
          new ArrayList<>(mixed.subList(0, Math.min(mixed.size(), random.nextInt(4))));
      List<Row> stay = new ArrayList<>(mixed.subList(removed.size(), mixed.size()));
      List<Row> updated = new ArrayList<>();
      for (Row before : stay.subList(0, Math.min(stay.size(), random.nextInt(4)))) {
        updated.add(
            new Row(COLUMNS, new Object[] {before.get("a"), before.get("b"), random.nextLong()}));
      }
      Collections.shuffle(stay, random);
      List<Row> moved = new ArrayList<>(stay.subList(0, Math.min(stay.size(), random.nextInt(4))));
      List<Row> come = new ArrayList<>();
      for (int count = random.nextInt(5); count > 0; count--) {
        come.add(row(next++, random.nextLong()));
      }
      // By hand: what leaves and moves is taken out, and put in by rising position.
      window.removeIf(row -> in(removed, row) || in(moved, row));
      for (Row row : updated) {
        window.replaceAll(held -> in(List.of(row), held) ? row : held);
      }
      List<Row> placed = new ArrayList<>();
      moved.forEach(
          row ->
              placed.add(
                  updated.stream()
                      .filter(other -> in(List.of(row), other))
                      .findFirst()
                      .orElse(row)));
      placed.addAll(come);
      TreeMap<Integer, Row> places = new TreeMap<>();
      List<Integer> positions = new ArrayList<>();
      for (int at = 0; at < window.size() + placed.size(); at++) {
        positions.add(at);
      }
      Collections.shuffle(positions, random);
      for (int at = 0; at < placed.size(); at++) {
        places.put(positions.get(at), placed.get(at));
      }
      places.forEach(window::add);

      List<Integer> indexes = positions.subList(0, placed.size());
      Changes.Builder changes = Changes.newBuilder().setTotalCount(step);
      changes.addRemovesBuilder().setReasonValue(1).setKeys(batch(COLUMNS.key, removed));
      changes.addUpdatesBuilder().setRows(batch(COLUMNS.names, updated));
      changes
          .getMovesBuilder()
          .setKeys(batch(COLUMNS.key, moved))
          .addAllIndexes(indexes.subList(0, moved.size()));
      changes
          .getInsertsBuilder()
          .setRows(batch(COLUMNS.names, come))
          .addAllIndexes(indexes.subList(moved.size(), placed.size()));
      MirrorEvent.Delta told =
          (MirrorEvent.Delta) receive(response -> response.setChanges(changes), step);

      assertEquals(window, replica.rows(0, Integer.MAX_VALUE));
      assertEquals(step, replica.totalCount);
      assertEquals(
          removed.size() + updated.size() + moved.size() + come.size(), told.changes().size());
      int start = random.nextInt(30);
      int limit = random.nextInt(30);
      int to = Math.min(window.size(), start + limit);
      assertEquals(start < to ? window.subList(start, to) : List.of(), replica.rows(start, limit));
    }
  }

  private static boolean in(List<Row> rows, Row row) {
    return rows.stream().anyMatch(other -> other.get("b").equals(row.get("b")));
  }

  private void refuses(String reason, Consumer<Changes.Builder> what) {
    List<Row> before = replica.rows(0, Integer.MAX_VALUE);
    Changes.Builder changes = Changes.newBuilder();
    what.accept(changes);
    long to = version + 1;
    StreamBroken broken =
        assertThrows(
            StreamBroken.class, () -> receive(response -> response.setChanges(changes), to));
    assertEquals(reason, broken.reason, broken.getMessage());
    assertEquals(before, replica.rows(0, Integer.MAX_VALUE));
    assertEquals(1, replica.version);
    version = feed.state == Feed.State.LIVE ? place.version : version;
  }

  @Test
  void leavesTheRowsAsTheyWereWhereAChangeDoesNotFit() {
    begin(List.of(row(1, 1), row(2, 2), row(3, 3)));
    Row one = row(1, 5);
    Row other = row(9, 9);
    refuses(
        "malformed",
        changes -> changes.addRemovesBuilder().setKeys(batch(COLUMNS.key, List.of(other))));
    refuses(
        "malformed",
        changes -> changes.addRemovesBuilder().setKeys(batch(COLUMNS.key, List.of(one, one))));
    refuses(
        "malformed",
        changes -> changes.addUpdatesBuilder().setRows(batch(COLUMNS.names, List.of(other))));
    refuses(
        "malformed",
        changes -> changes.addUpdatesBuilder().setRows(batch(List.of("a", "v"), List.of(one))));
    refuses(
        "malformed",
        changes ->
            changes.getInsertsBuilder().setRows(batch(COLUMNS.names, List.of(one))).addIndexes(0));
    refuses(
        "malformed",
        changes ->
            changes
                .getInsertsBuilder()
                .setRows(batch(COLUMNS.names, List.of(other)))
                .addIndexes(4));
    refuses(
        "malformed",
        changes ->
            changes
                .getInsertsBuilder()
                .setRows(batch(COLUMNS.names, List.of(other)))
                .addIndexes(-1));
    refuses(
        "malformed",
        changes -> changes.getInsertsBuilder().setRows(batch(COLUMNS.names, List.of(other))));
    refuses(
        "malformed",
        changes ->
            changes.getInsertsBuilder().setRows(batch(COLUMNS.key, List.of(other))).addIndexes(0));
    refuses(
        "malformed",
        changes ->
            changes
                .getInsertsBuilder()
                .setRows(batch(COLUMNS.names, List.of(other, row(8, 8))))
                .addIndexes(0)
                .addIndexes(0));
    refuses(
        "malformed",
        changes ->
            changes
                .getMovesBuilder()
                .setKeys(batch(COLUMNS.key, List.of(one, one)))
                .addIndexes(0)
                .addIndexes(1));
    refuses(
        "malformed",
        changes -> {
          changes.addRemovesBuilder().setKeys(batch(COLUMNS.key, List.of(one)));
          changes.addUpdatesBuilder().setRows(batch(COLUMNS.names, List.of(one)));
        });
    refuses(
        "malformed",
        changes -> {
          changes.addRemovesBuilder().setKeys(batch(COLUMNS.key, List.of(one)));
          changes.getMovesBuilder().setKeys(batch(COLUMNS.key, List.of(one))).addIndexes(0);
        });
  }

  @Test
  void refusesWhatClaimsMoreThanItHolds() {
    RowBatch.Builder claims = RowBatch.newBuilder().setRowCount(Integer.MAX_VALUE);
    claims.addColumns(ColumnData.newBuilder().setName("a"));
    assertThrows(StreamBroken.class, () -> Block.decode(claims.build(), COLUMNS));
    assertThrows(StreamBroken.class, () -> Block.decode(claims.setRowCount(-1).build(), COLUMNS));
  }

  @Test
  void stateFollowsTheDiagram() {
    for (MirrorState state : MirrorState.values()) {
      assertEquals(
          state == MirrorState.ENDED ? MirrorState.ENDED : MirrorState.LIVE, state.current());
      assertEquals(state == MirrorState.LIVE ? MirrorState.STALE : state, state.lost());
    }
  }

  @Test
  void aTokenIsOfItsVersionAlone() {
    assertTrue(place.token().isEmpty());
    place.move(5, ByteString.copyFromUtf8("five"));
    assertEquals("five", place.token().toStringUtf8());
    place.move(6, ByteString.EMPTY);
    assertTrue(place.token().isEmpty());
    place.move(7, ByteString.copyFromUtf8("seven"));
    place.forget();
    assertTrue(place.token().isEmpty());
  }
}
