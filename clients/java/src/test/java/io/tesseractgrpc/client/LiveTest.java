package io.tesseractgrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.tesseractgrpc.client.MirrorEvent.Interrupted;
import io.tesseractgrpc.client.MirrorEvent.Resumed;
import io.tesseractgrpc.client.MirrorEvent.Snapshot;
import java.io.File;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * This client against real servers, which are killed, cut off and stopped. The names are the same
 * in all languages.
 */
class LiveTest {
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private static ConnectOptions quick() {
    return new ConnectOptions()
        .timeout(Duration.ofSeconds(30))
        .backoff(Duration.ofMillis(20), Duration.ofMillis(200));
  }

  private static Table items(Hub hub) {
    return hub.createTable(
        "items",
        Column.key("id", DataType.INT64),
        Column.of("name", DataType.STRING),
        Column.of("qty", DataType.INT64));
  }

  private static List<Row> rows(int from, int to) {
    return IntStream.range(from, to)
        .mapToObj(id -> Row.of("id", (long) id, "name", "item " + id, "qty", id * 10L))
        .toList();
  }

  private static void eventually(String what, BooleanSupplier there) throws InterruptedException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!there.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, what);
      Thread.sleep(10);
    }
  }

  /** What a mirror has told, of one kind. */
  private static final class Told implements Consumer<MirrorEvent> {
    private final List<MirrorEvent> all = Collections.synchronizedList(new ArrayList<>());

    @Override
    public void accept(MirrorEvent event) {
      all.add(event);
    }

    <T> List<T> of(Class<T> kind) {
      synchronized (all) {
        return all.stream().filter(kind::isInstance).map(kind::cast).toList();
      }
    }
  }

  private static void same(Mirror mirror, Hub hub, Session session) {
    Rows fresh = session.rows(Window.ALL, mirror.version());
    assertEquals(fresh, mirror.rows());
    assertEquals(fresh.totalCount(), mirror.totalCount());
  }

  @Test
  void typesRoundTrip() {
    try (Stage.Server server = Stage.Server.start("{}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table table =
          hub.createTable(
              "wide",
              Column.key("id", DataType.INT64),
              Column.of("ok", DataType.BOOL),
              Column.of("n", DataType.INT64),
              Column.of("x", DataType.FLOAT64),
              Column.of("at", DataType.TIMESTAMP),
              Column.of("größe 🚀", DataType.STRING),
              Column.of("doc", DataType.JSON),
              Column.enumOf("grade", "low", "high"));
      List<Row> rows = new ArrayList<>();
      rows.add(
          wide(
              1,
              true,
              Long.MAX_VALUE,
              Double.NaN,
              Instant.parse("1969-12-31T23:59:59.999999Z"),
              "",
              "{}",
              "low"));
      rows.add(
          wide(
              2,
              false,
              Long.MIN_VALUE,
              Double.POSITIVE_INFINITY,
              Block.instantOf(Long.MIN_VALUE),
              "🚀 𝕒 déjà",
              "[1, 2.50, null]",
              "high"));
      rows.add(
          wide(
              3,
              null,
              9007199254740993L,
              Double.NEGATIVE_INFINITY,
              Block.instantOf(Long.MAX_VALUE),
              "null",
              "\"\"",
              null));
      rows.add(wide(4, null, null, null, null, null, null, null));
      rows.add(
          wide(
              5,
              true,
              0L,
              Double.MIN_VALUE,
              Instant.EPOCH,
              "\u0000\n",
              "12345678901234567890",
              "low"));
      rows.add(
          wide(
              6,
              true,
              -1L,
              0.1 + 0.2,
              Instant.parse("0001-01-01T00:00:00.000001Z"),
              "x".repeat(100_000),
              "null",
              "low"));
      for (int id = 7; id < 100; id++) { // enough for a dictionary
        rows.add(
            wide(
                id,
                id % 2 == 0,
                (long) id,
                id / 3.0,
                Instant.ofEpochSecond(id, 1000),
                id % 3 == 0 ? null : "text " + id % 5,
                null,
                "high"));
      }
      long version = table.insert(rows);
      assertEquals(rows, hub.query(table.query(), Window.ALL, version));
      assertEquals(rows.subList(0, 3), table.get(List.of(1, 2, 3), version));
      assertEquals(rows.get(3), table.get(4).orElseThrow());
      assertTrue(table.get(1000).isEmpty());
      assertEquals(DataType.JSON, table.columns().get(6).type());
      assertEquals(List.of("low", "high"), table.columns().get(7).names());
      table.update(List.of(Map.of("id", 1, "x", -0.0))); // is stored as 0.0
      assertEquals(0.0, table.get(1).orElseThrow().getDouble("x"));
      Session session = hub.createSession("wide", table.query());
      try (Mirror mirror = session.mirror(new MirrorOptions().verify()).ready()) {
        same(mirror, hub, session);
        assertEquals(
            mirror.bookmark().rows(), Bookmark.fromBytes(mirror.bookmark().toBytes()).rows());
      }
      TesseractException wrong =
          assertThrows(
              TesseractException.class,
              () -> table.insert(List.of(rows.get(0), Row.of("id", 200, "n", "text"))));
      assertEquals("WRONG_TYPE", wrong.reason());
      assertEquals(1, wrong.rowErrors().get(0).row());
    }
  }

  private static Row wide(
      long id, Boolean ok, Long n, Double x, Instant at, String text, String doc, String grade) {
    return Row.of(
        "id", id, "ok", ok, "n", n, "x", x, "at", at, "größe 🚀", text, "doc", doc, "grade", grade);
  }

  @Test
  void readYourWrites() {
    try (Stage.Server server = Stage.Server.start("{}");
        Hub hub = Hub.connect(server.address(), quick());
        Hub other = Hub.connect(server.address(), quick())) {
      Table table = items(hub);
      Session session =
          hub.createSession("items", table.query().where("qty >= 0").sortDescending("id"));
      try (Mirror mirror = other.session("items").mirror().ready()) {
        for (int id = 0; id < 20; id++) {
          long version = table.insert(rows(id, id + 1));
          assertEquals(id + 1, other.query(Query.table("items"), Window.ALL, version).size());
          assertEquals(id + 1, other.session("items").rows(Window.ALL, version).size());
          assertEquals(id + 1, mirror.waitFor(version).size());
        }
        long unseen = table.insert(List.of(Row.of("id", 100, "qty", -1)));
        long start = System.nanoTime();
        mirror.waitFor(unseen);
        assertTrue(
            System.nanoTime() - start < 4_000_000_000L, "the server was not asked for progress");
        same(mirror, hub, session);
      }
    }
  }

  @Test
  void killAndResume() throws InterruptedException {
    try (Stage.Server server = Stage.Server.start("{}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table table = items(hub);
      table.insert(rows(0, 1000));
      Session session = hub.createSession("items", table.query().sort("qty"));
      Told told = new Told();
      try (Mirror mirror = session.mirror(new MirrorOptions().verify(), told).ready()) {
        for (int kill = 1; kill <= 2; kill++) {
          table.update(List.of(Row.of("id", kill, "qty", -kill)));
          server.does("kill");
          eventually("stale", () -> mirror.state() == MirrorState.STALE);
          assertEquals(1000, mirror.size());
          server.does("start");
          long version = table.update(List.of(Row.of("id", 500 + kill, "qty", -500 - kill)));
          mirror.waitFor(version, PATIENCE);
          assertEquals(MirrorState.LIVE, mirror.state());
          same(mirror, hub, session);
          assertEquals(kill, told.of(Resumed.class).size());
        }
        assertEquals(1, told.of(Snapshot.class).size());
        assertEquals(
            List.of("reconnected", "reconnected"),
            told.of(Interrupted.class).stream().map(Interrupted::reason).toList());
      }
    }
  }

  @Test
  void blackHole() throws InterruptedException {
    try (Stage.Server server =
            Stage.Server.start("{\"proxy\": true, \"args\": [\"--progress-interval\", \"0.3\"]}");
        Hub hub = Hub.connect(server.address(), quick().timeout(Duration.ofSeconds(3)))) {
      Table table = items(hub);
      table.insert(rows(0, 10));
      Session session = hub.createSession("items", table.query());
      Told told = new Told();
      try (Mirror mirror = session.mirror(new MirrorOptions(), told).ready()) {
        server.does("blackhole");
        long start = System.nanoTime();
        eventually("stale", () -> mirror.state() == MirrorState.STALE);
        assertTrue(
            System.nanoTime() - start > 500_000_000L,
            "three intervals of 0.3 s, of which one may have passed");
        assertEquals("silence", told.of(Interrupted.class).get(0).reason());
        assertTrue(told.of(Interrupted.class).get(0).resumes());
        assertEquals(10, mirror.size());
        server.does("heal");
        eventually("live", () -> mirror.state() == MirrorState.LIVE);
        long version = hub.table("items").insert(rows(10, 11));
        mirror.waitFor(version, PATIENCE);
        same(mirror, hub, session);
        assertEquals(1, told.of(Snapshot.class).size());
        assertFalse(told.of(Resumed.class).isEmpty());
      }
    }
  }

  @Test
  void slowConsumer() throws Exception {
    try (Stage.Server server = Stage.Server.start("{\"args\": [\"--lag-after\", \"0.2\"]}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table table =
          hub.createTable(
              "large", Column.key("id", DataType.INT64), Column.of("text", DataType.STRING));
      table.insert(texts(0));
      Session session = hub.createSession("large", table.query());
      CountDownLatch stuck = new CountDownLatch(1);
      CountDownLatch go = new CountDownLatch(1);
      Told told = new Told();
      try (Mirror mirror =
          session.mirror(
              new MirrorOptions().verify(),
              event -> {
                told.accept(event);
                if (event instanceof MirrorEvent.Delta) {
                  stuck.countDown();
                  awaitQuietly(go);
                }
              })) {
        mirror.ready();
        int commits = 40;
        long version = 0;
        long before = used();
        for (int commit = 1; commit <= commits; commit++) {
          version =
              table.update(
                  texts(commit)); // on the same connection, which the reader that is stuck must not
          // stop
        }
        assertTrue(stuck.await(30, TimeUnit.SECONDS));
        long held = used() - before;
        assertTrue(held < 24L << 20, held + " bytes are held for a reader that does not read");
        go.countDown();
        mirror.waitFor(version, PATIENCE);
        same(mirror, hub, session);
        assertEquals(texts(commits), mirror.rows());
        assertTrue(told.of(MirrorEvent.Delta.class).size() < commits, "nothing was merged");
        assertFalse(told.of(MirrorEvent.Lagged.class).isEmpty());
        assertTrue(
            told.of(MirrorEvent.Delta.class).stream()
                .anyMatch(delta -> delta.skippedCommits() > 1));
        assertEquals(1, told.of(Snapshot.class).size());
        assertTrue(told.of(Interrupted.class).isEmpty());
      }
    }
  }

  /** A million characters. */
  private static List<Row> texts(int commit) {
    return IntStream.range(0, 10)
        .mapToObj(id -> Row.of("id", (long) id, "text", (commit + ":" + id + " ").repeat(20_000)))
        .toList();
  }

  private static long used() {
    System.gc();
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void editInPlace() throws InterruptedException {
    try (Stage.Server server = Stage.Server.start("{}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table table = items(hub);
      table.insert(rows(0, 10));
      Session session = hub.createSession("items", table.query().columns("id", "name"));
      Told told = new Told();
      try (Mirror mirror = session.mirror(new MirrorOptions().verify(), told).ready()) {
        mirror.waitFor(session.update(table.query().where("qty > 30").sortDescending("qty")));
        assertEquals(List.of("id", "name", "qty"), List.copyOf(mirror.rows().get(0).keySet()));
        assertEquals(6, mirror.size());
        same(mirror, hub, session);
        assertEquals(1, told.of(Snapshot.class).size());
        assertTrue(told.of(MirrorEvent.Delta.class).get(0).isEdited());
        assertEquals("id", session.columns().get(0).name());
      }
    }
  }

  @Test
  void reset() throws InterruptedException {
    try (Stage.Server server = Stage.Server.start("{\"args\": [\"--durability\", \"memory\"]}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table table = items(hub);
      table.insert(rows(0, 10));
      Session session = hub.createSession("items", table.query());
      Told told = new Told();
      try (Mirror mirror = session.mirror(new MirrorOptions(), told).ready()) {
        String epoch = mirror.epoch();
        server.does(
            "stop"); // in order, so that nothing is lost; and then once more not, so that something
        // may be
        server.does("start");
        mirror.waitFor(table.update(List.of(Row.of("id", 1, "qty", 1))), PATIENCE);
        server.does("kill");
        server.does("start");
        eventually("a new epoch", () -> !mirror.epoch().equals(epoch));
        eventually("live", () -> mirror.state() == MirrorState.LIVE);
        List<Interrupted> interruptions = told.of(Interrupted.class);
        Interrupted last = interruptions.get(interruptions.size() - 1);
        assertEquals("other_epoch", last.reason());
        assertFalse(last.resumes());
        List<Snapshot> snapshots = told.of(Snapshot.class);
        assertEquals("other_epoch", snapshots.get(snapshots.size() - 1).reason());
      }
    }
    try (Stage.Server server = Stage.Server.start("{\"args\": [\"--history-commits\", \"4\"]}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table table = items(hub);
      table.insert(rows(0, 10));
      Session session = hub.createSession("items", table.query());
      Bookmark bookmark;
      try (Mirror mirror = session.mirror().ready()) {
        bookmark = mirror.bookmark();
      }
      for (int commit = 0; commit < 50; commit++) {
        table.update(List.of(Row.of("id", 3, "qty", commit)));
      }
      Told told = new Told();
      try (Mirror mirror = session.mirror(new MirrorOptions().resume(bookmark), told)) {
        assertEquals(bookmark.rows().get(0), mirror.rows().get(0));
        eventually("live", () -> mirror.state() == MirrorState.LIVE);
        assertEquals("too_old", told.of(Interrupted.class).get(0).reason());
        eventually("the snapshot", () -> !told.of(Snapshot.class).isEmpty());
        assertEquals("too_old", told.of(Snapshot.class).get(0).reason());
        same(mirror, hub, session);
      }
    }
  }

  @Test
  void tokenAndTls() {
    try (Stage.Server server = Stage.Server.start("{\"tls\": true, \"token\": true}")) {
      File authorities = new File(server.told().getAsJsonObject("tls").get("ca").getAsString());
      String read = server.told().getAsJsonObject("tokens").get("read").getAsString();
      String admin = server.told().getAsJsonObject("tokens").get("admin").getAsString();
      try (Hub hub = Hub.connect(server.address(), quick().tls(authorities).token(admin))) {
        items(hub).insert(rows(0, 3));
        hub.createSession("items", Query.table("items"));
      }
      try (Hub hub = Hub.connect(server.address(), quick().tls(authorities).token(read));
          Mirror mirror = hub.session("items").mirror().ready()) {
        assertEquals(3, mirror.size());
        Table table = hub.table("items");
        refused(Status.Code.PERMISSION_DENIED, "ROLE_REQUIRED", () -> table.insert(rows(3, 4)));
      }
      try (Hub hub = Hub.connect(server.address(), quick().tls(authorities))) {
        refused(Status.Code.UNAUTHENTICATED, "TOKEN_MISSING", () -> hub.table("items"));
      }
      try (Hub hub =
          Hub.connect(
              server.address(), quick().tls().token(read).attempts(1))) { // nobody vouches for it
        refused(Status.Code.UNAVAILABLE, "", () -> hub.table("items"));
      }
    }
  }

  private static TesseractException refused(Status.Code code, String reason, Runnable call) {
    TesseractException error = assertThrows(TesseractException.class, call::run);
    assertEquals(reason, error.reason(), error.toString());
    assertEquals(code, error.code(), error.toString());
    return error;
  }

  @Test
  void retriedWriteIsWrittenOnce() throws Exception {
    try (Stage.Server server = Stage.Server.start("{\"proxy\": true}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table table = items(hub);
      List<Write> once = List.of(Write.insert(table, rows(0, 1)));
      long version = hub.commit(once, "the same");
      assertEquals(version, hub.commit(once, "the same"));
      ExecutorService writers = Executors.newFixedThreadPool(4);
      List<Future<?>> written = new ArrayList<>();
      for (int writer = 0; writer < 4; writer++) {
        int first = 1000 * (writer + 1);
        written.add(
            writers.submit(
                () -> {
                  for (int id = first;
                      id < first + 100;
                      id++) { // a row that came twice would be DUPLICATE_KEY
                    table.insert(rows(id, id + 1));
                  }
                }));
      }
      for (int cut = 0; written.stream().anyMatch(each -> !each.isDone()); cut++) {
        Thread.sleep(100);
        if (cut < 20) {
          server.does(cut == 5 ? "kill" : "cut");
          if (cut == 5) {
            server.does("start");
          }
        }
      }
      for (Future<?> each : written) {
        each.get();
      }
      writers.shutdown();
      assertEquals(401, hub.query(Query.table("items")).size());
    }
  }

  @Test
  void commitOverSeveralTables() {
    try (Stage.Server server = Stage.Server.start("{}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table one = items(hub);
      Table other =
          hub.createTable(
              "pairs",
              Column.key("a", DataType.STRING),
              Column.key("b", DataType.INT64),
              Column.of("v", DataType.FLOAT64).withDefault(1.5));
      long version =
          hub.commit(
              List.of(
                  Write.insert(one, rows(0, 3)),
                  Write.upsert(
                      other, List.of(Map.of("a", "x", "b", 1), Map.of("a", "y", "b", 2, "v", 2.0))),
                  Write.update(one, List.of(Map.of("id", 1, "qty", 5))),
                  Write.delete(one, List.of(0))));
      assertEquals(2, hub.query(one.query(), Window.ALL, version).size());
      assertEquals(
          List.of(1.5, 2.0),
          hub.query(other.query()).stream().map(row -> row.getDouble("v")).toList());
      assertEquals(2.0, other.get(List.of("y", 2)).orElseThrow().getDouble("v"));
      other.delete(List.of(List.of("x", 1L), Map.of("a", "y", "b", 2)));
      assertEquals(0, hub.query(other.query()).size());
      TesseractException error =
          refused(
              Status.Code.ALREADY_EXISTS,
              "DUPLICATE_KEY",
              () ->
                  hub.commit(
                      List.of(
                          Write.upsert(one, rows(7, 8)),
                          Write.insert(
                              one,
                              List.of(
                                  Map.of("id", 8), Map.of("id", 9, "qty", 1), Map.of("id", 1))))));
      assertEquals(1, error.rowErrors().get(0).operation());
      assertEquals(2, error.rowErrors().get(0).row());
      refused(
          Status.Code.INVALID_ARGUMENT,
          "UNKNOWN_COLUMN",
          () -> one.insert(List.of(Map.of("id", 1, "nobody", 2))));
      refused(Status.Code.NOT_FOUND, "UNKNOWN_TABLE", () -> hub.table("nobody"));
      assertEquals(0, hub.deleteTable("nobody", true));
    }
  }

  @Test
  void anonymousSessionsAreMadeAgain() throws InterruptedException {
    try (Stage.Server server = Stage.Server.start("{}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table table = items(hub);
      table.insert(rows(0, 10));
      Session session = hub.createSession(table.query());
      try (Mirror mirror = session.mirror().ready()) {
        String before = session.id();
        server.does("kill");
        server.does("start");
        mirror.waitFor(table.insert(rows(10, 11)), PATIENCE);
        assertEquals(11, mirror.size());
        assertFalse(before.equals(session.id()));
      }
    }
  }

  @Test
  void endings() throws InterruptedException {
    try (Stage.Server server = Stage.Server.start("{}");
        Hub hub = Hub.connect(server.address(), quick())) {
      Table table = items(hub);
      Session session = hub.createSession("items", table.query());
      Told told = new Told();
      Mirror ended = session.mirror(new MirrorOptions(), told).ready();
      Mirror closed = session.mirror();
      closed.close();
      assertEquals(MirrorState.ENDED, closed.state());
      assertTrue(closed.error().isEmpty());
      refused(Status.Code.CANCELLED, "", closed::ready);
      session.delete();
      eventually("ended", () -> told.of(MirrorEvent.StateChanged.class).size() == 2);
      assertEquals("SESSION_DELETED", ended.error().orElseThrow().reason());
      refused(Status.Code.FAILED_PRECONDITION, "SESSION_DELETED", () -> ended.waitFor(1000));
      Mirror lonely =
          hub.createSession("again", table.query())
              .mirror(
                  new MirrorOptions(),
                  event -> {
                    throw new IllegalStateException("a listener that fails stops nobody");
                  });
      lonely.ready();
      TesseractException late =
          refused(
              Status.Code.DEADLINE_EXCEEDED, "", () -> lonely.waitFor(1000, Duration.ofMillis(50)));
      assertTrue(late.getMessage().contains("LIVE"), late.getMessage());
    }
  }

  @Test
  void noThreadIsLeft() throws InterruptedException {
    try (Stage.Server server = Stage.Server.start("{}")) {
      Hub hub = Hub.connect(server.address(), quick());
      Session session = hub.createSession("items", items(hub).query());
      List<Mirror> mirrors = IntStream.range(0, 5).mapToObj(at -> session.mirror()).toList();
      mirrors.forEach(Mirror::ready);
      Thread waiting =
          new Thread(
              () ->
                  assertThrows(TesseractException.class, () -> mirrors.get(0).waitFor(1_000_000)));
      waiting.start();
      assertEquals(5, threads("tesseract-mirror"));
      hub.close();
      assertEquals(0, threads("tesseract-mirror"));
      waiting.join(10_000);
      assertFalse(waiting.isAlive());
      refused(Status.Code.CANCELLED, "", () -> hub.table("items"));
      hub.close();
    }
  }

  private static long threads(String prefix) {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith(prefix))
        .count();
  }
}
