package io.tesseractgrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tesseractgrpc.v1.GetTableRequest;
import io.tesseractgrpc.v1.TableServiceGrpc;
import io.tesseractgrpc.v1.WriteRequest;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Values, their digest, and what else needs no server. */
class ValuesTest {
  private static final Columns COLUMNS =
      new Columns(
          List.of("id", "ok", "x", "at", "ü", "doc", "grade"),
          List.of(
              DataType.INT64,
              DataType.BOOL,
              DataType.FLOAT64,
              DataType.TIMESTAMP,
              DataType.STRING,
              DataType.JSON,
              DataType.ENUM),
          List.of("id"));

  private static Row row(Object... values) {
    return new Row(COLUMNS, values);
  }

  private static final List<Row> ROWS =
      List.of(
          row(1L, true, -0.0, Block.instantOf(-1), "🚀", "{}", "low"),
          row(Long.MIN_VALUE, null, Double.NaN, null, null, null, null),
          row(
              (1L << 53) + 1,
              false,
              Double.NEGATIVE_INFINITY,
              Block.instantOf(1L << 62),
              "",
              "[1, 2]",
              "high"));

  /** Made by the Python client: `digest_of` of tesseract_grpc/client/core/digest.py. */
  @Test
  void digests() {
    HexFormat hex = HexFormat.of();
    assertEquals(
        "1ef568b9712480cd27e7efb62ac8b7690759ba24a01104608f7482d5dd4dcdf5",
        hex.formatHex(Digest.of(COLUMNS, ROWS)));
    assertEquals(
        "cbafe63d6499fdfad018d31c0cff65efd0a1b55b27ef1f373ea197784e5d8d52",
        hex.formatHex(Digest.of(COLUMNS, List.of())));
    Columns texts = new Columns(List.of("t"), List.of(DataType.STRING), List.of("t"));
    Row large = new Row(texts, new Object[] {"x".repeat(100_000)}); // beyond its buffer
    assertEquals(
        "d6416247a6b6a19d7712e2740620ddb49c486bbcb2c3503c3c9f1212cea8e896",
        hex.formatHex(Digest.of(texts, List.of(large))));
  }

  @Test
  void rowsComeBackAsTheyWent() {
    List<Row> many = new ArrayList<>();
    for (int id = 0; id < 100; id++) { // with a dictionary
      many.add(
          row(
              (long) id,
              id % 3 == 0 ? null : id % 2 == 0,
              id / 7.0,
              Instant.EPOCH.plusNanos(id * 1000L),
              id % 5 == 0 ? null : "text " + id % 4,
              null,
              "low"));
    }
    for (List<Row> rows : List.of(ROWS, many, many.subList(0, 31), List.<Row>of())) {
      assertEquals(
          rows,
          Block.decode(Batch.encode(COLUMNS, COLUMNS.names, rows), COLUMNS).complete().rows());
    }
  }

  @Test
  void timestampsAreMicroseconds() {
    for (long micros :
        new long[] {
          0, 1, -1, 999_999, -999_999, -1_000_000, -1_000_001, Long.MAX_VALUE, Long.MIN_VALUE
        }) {
      assertEquals(micros, Batch.microsecondsOf(Block.instantOf(micros)));
    }
    assertEquals(
        -1, Batch.microsecondsOf(Instant.EPOCH.minusNanos(1))); // the microsecond in which it lies
    assertThrows(TesseractException.class, () -> Batch.microsecondsOf(Instant.MAX));
  }

  private static String refused(String column, Object value) {
    TesseractException error =
        assertThrows(
            TesseractException.class,
            () ->
                Batch.encode(
                    COLUMNS,
                    List.of(column),
                    List.of(Row.of(column, null), Row.of(column, value))));
    assertEquals(1, error.rowErrors().get(0).row());
    assertEquals(column, error.rowErrors().get(0).column());
    return error.reason();
  }

  @Test
  void whatDoesNotFitIsRefused() {
    assertEquals("WRONG_TYPE", refused("id", 1.0));
    assertEquals("WRONG_TYPE", refused("id", "1"));
    assertEquals("INT64_OVERFLOW", refused("id", BigInteger.TWO.pow(63)));
    assertEquals("WRONG_TYPE", refused("ok", 1));
    assertEquals("WRONG_TYPE", refused("x", (1L << 53) + 1)); // no double is this
    assertEquals("WRONG_TYPE", refused("x", Long.MAX_VALUE));
    assertEquals("WRONG_TYPE", refused("at", 5));
    assertEquals("WRONG_TYPE", refused("ü", 5));
    assertEquals("WRONG_TYPE", refused("ü", "\ud83d")); // half a character
    Batch.encode(
        COLUMNS,
        List.of("id"),
        List.of(Map.of("id", BigInteger.TWO.pow(63).negate()), Map.of("id", (byte) 1)));
    Batch.encode(
        COLUMNS, List.of("x"), List.of(Map.of("x", 1L << 60), Map.of("x", 1), Map.of("x", 1.5f)));
    Batch.encode(COLUMNS, List.of("grade"), List.of(Map.of("grade", DataType.BOOL)));
    assertThrows(TesseractException.class, () -> Batch.encodeKeys(COLUMNS, List.of(List.of(1, 2))));
  }

  @Test
  void rowsAreMaps() {
    Row row = Row.of("id", 1L, "name", null);
    assertTrue(row.isNull("name"));
    assertNull(row.get("nobody"));
    assertEquals(1L, row.getLong("id"));
    assertEquals("{id=1, name=null}", row.toString());
    assertEquals(Map.of("id", 1L), Row.of("id", 1L));
    assertThrows(IllegalArgumentException.class, () -> row.getLong("nobody"));
    assertThrows(IllegalArgumentException.class, () -> Row.of("id", 1, "id", 2));
    assertThrows(IllegalArgumentException.class, () -> Row.of("id"));
    assertThrows(UnsupportedOperationException.class, () -> row.put("id", 2L));
    assertEquals(Row.of("x", Double.NaN), Row.of("x", Double.NaN));
  }

  @Test
  void backoffDoublesUpToItsLimit() {
    Backoff backoff = new Backoff(Duration.ofMillis(100), Duration.ofSeconds(5));
    long[] limits = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    for (long limit : limits) {
      assertEquals(limit, backoff.limit().toMillis());
      Duration pause = backoff.next(null);
      assertFalse(pause.isNegative() || pause.toMillis() > limit);
    }
    for (int more = 0; more < 100; more++) {
      backoff.next(null);
    }
    assertEquals(5000, backoff.limit().toMillis());
    assertTrue(
        backoff.next(Duration.ofSeconds(7)).toMillis() >= 7000,
        "what the server asks for comes on top");
    backoff.reset();
    assertEquals(100, backoff.limit().toMillis());
    Backoff again = new Backoff(Duration.ofSeconds(1), Duration.ofSeconds(1));
    assertTrue(
        java.util.stream.IntStream.range(0, 20).mapToObj(at -> again.next(null)).distinct().count()
            > 1,
        "no jitter");
  }

  @Test
  void onlyWhatDoesNothingMoreIsSentTwice() {
    assertTrue(
        Rpc.mayBeSentTwice(
            TableServiceGrpc.getGetTableMethod(), GetTableRequest.getDefaultInstance()));
    assertFalse(
        Rpc.mayBeSentTwice(TableServiceGrpc.getWriteMethod(), WriteRequest.getDefaultInstance()));
    WriteRequest named = WriteRequest.newBuilder().setRequestId("one").build();
    assertTrue(Rpc.mayBeSentTwice(TableServiceGrpc.getWriteMethod(), named));
    assertFalse(Rpc.mayBeSentTwice(TableServiceGrpc.getWriteMethod(), named.toByteArray()));
  }

  @Test
  void queriesAreImmutable() {
    Query all = Query.table("items");
    Query some = all.where("a > 1").where("b < 2").columns("a", "b").sort("a").sortDescending("b");
    assertEquals(io.tesseractgrpc.v1.Query.newBuilder().setTable("items").build(), all.wire());
    assertEquals(2, some.wire().getFilter().getAllOf().getFiltersCount());
    assertEquals(List.of("a", "b"), some.wire().getColumnsList());
    assertEquals(2, some.wire().getSortCount());
    assertEquals("s", Query.session("s").wire().getSource().getSession());
    assertFalse(Window.of(0, 0).wire().hasExpansion());
    assertTrue(Window.of(0, 0).wire().hasLimit());
    assertFalse(Window.ALL.wire().hasLimit());
  }

  @Test
  void optionsAreChecked() {
    assertThrows(
        TesseractException.class, () -> Hub.connect("a:1", new ConnectOptions().attempts(0)));
    assertThrows(
        TesseractException.class,
        () -> Hub.connect("a:1", new ConnectOptions().timeout(Duration.ZERO)));
    assertThrows(
        TesseractException.class,
        () -> Hub.connect("a:1", new ConnectOptions().tls(new java.io.File("/nowhere"))));
    assertThrows(TesseractException.class, () -> Bookmark.fromBytes(new byte[0]));
    assertThrows(TesseractException.class, () -> Bookmark.fromBytes(new byte[] {5, 1, 2}));
  }

  /** A wrong address is soon told, and several addresses are those of one server. */
  @Test
  void addresses() {
    try (Hub hub =
        Hub.connect(
            "localhost:1,127.0.0.1:1",
            new ConnectOptions().backoff(Duration.ofMillis(1), Duration.ofMillis(2)))) {
      TesseractException error = assertThrows(TesseractException.class, () -> hub.table("items"));
      assertEquals(io.grpc.Status.Code.UNAVAILABLE, error.code());
    }
  }

  /** The package has the version of the project. */
  @Test
  void versions() throws java.io.IOException {
    String project =
        Files.readString(Path.of("../../tesseract_grpc/__init__.py"), StandardCharsets.UTF_8);
    Matcher version = Pattern.compile("__version__ = \"(.*)\"").matcher(project);
    assertTrue(version.find());
    String pom = Files.readString(Path.of("pom.xml"), StandardCharsets.UTF_8);
    assertTrue(
        pom.contains(
            "<artifactId>tesseract-grpc-client</artifactId>\n  <version>"
                + version.group(1)
                + "</version>"));
  }
}
