import io.tesseractgrpc.client.Column;
import io.tesseractgrpc.client.DataType;
import io.tesseractgrpc.client.Hub;
import io.tesseractgrpc.client.Row;
import io.tesseractgrpc.client.RowError;
import io.tesseractgrpc.client.Rows;
import io.tesseractgrpc.client.Table;
import io.tesseractgrpc.client.TesseractException;
import io.tesseractgrpc.client.Window;
import io.tesseractgrpc.client.Write;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** Create, write, query, and what is refused. Usage: basic [localhost:50051] */
final class Basic {
  private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  private static final DateTimeFormatter MICROSECONDS =
      DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

  private Basic() {}

  public static void main(String[] args) {
    try (Hub hub = Hub.connect(args.length > 0 ? args[0] : "localhost:50051")) {
      hub.deleteTable("basic_orders", true);
      Table orders =
          hub.createTable(
              "basic_orders",
              Column.key("id", DataType.INT64),
              Column.of("name", DataType.STRING),
              Column.of("price", DataType.FLOAT64),
              Column.of("open", DataType.BOOL),
              Column.of("at", DataType.TIMESTAMP),
              Column.of("doc", DataType.JSON),
              Column.enumOf("status", "ready", "shipped"));
      say(
          "columns: "
              + orders.columns().stream()
                  .map(
                      column -> column.name() + " " + column.type().name().toLowerCase(Locale.ROOT))
                  .collect(Collectors.joining(", ")));

      long version =
          orders.insert(
              List.of(
                  Row.of(
                      "id",
                      1,
                      "name",
                      "Ada",
                      "price",
                      12.5,
                      "open",
                      true,
                      "at",
                      Instant.parse("2026-11-23T04:15:00.000001Z"),
                      "doc",
                      "{\"size\":2,\"tags\":[\"new\",\"red\"]}",
                      "status",
                      "ready"),
                  Row.of(
                      "id",
                      2,
                      "name",
                      "",
                      "price",
                      Double.NaN,
                      "open",
                      false,
                      "at",
                      Instant.parse("1969-12-31T23:59:59.999999Z"),
                      "doc",
                      null,
                      "status",
                      "shipped"),
                  Row.of(
                      "id",
                      9007199254740993L,
                      "name",
                      "🚀 déjà vu",
                      "price",
                      Double.POSITIVE_INFINITY,
                      "open",
                      null,
                      "at",
                      null,
                      "doc",
                      "{}",
                      "status",
                      null),
                  Row.of(
                      "id",
                      Long.MIN_VALUE,
                      "name",
                      null,
                      "price",
                      Double.NEGATIVE_INFINITY,
                      "open",
                      true,
                      "at",
                      null,
                      "doc",
                      "[1,null]",
                      "status",
                      null)));
      say("wrote 4 rows");

      Rows rows = hub.query(orders.query().sort("id"), Window.ALL, version);
      say("read my own writes: " + (rows.version() >= version));
      rows.forEach(Basic::show);

      version =
          hub.commit(
              List.of(
                  Write.update(orders, List.of(Map.of("id", 1, "price", 13.75))),
                  Write.delete(orders, List.of(2))));
      say("updated 1 and deleted 2 in one commit");
      hub.query(orders.query().where("price > 13").sort("id"), Window.ALL, version)
          .forEach(Basic::show);

      String ids =
          orders.get(List.of(1, 2), 0).stream()
              .map(row -> text(row.get("id")))
              .collect(Collectors.joining(" "));
      say("of the keys 1 and 2 there are: " + ids);

      try {
        orders.insert(List.of(Map.of("id", 5), Map.of("id", 1)));
      } catch (TesseractException e) {
        RowError first = e.rowErrors().get(0);
        say(
            "refused: "
                + e.code()
                + " "
                + e.reason()
                + ", row "
                + first.row()
                + ", column "
                + first.column());
      }
      refused(() -> hub.query(orders.query().where("prize > 13")));
      refused(() -> hub.table("basic_missing"));
      say("rows after the refusals: " + hub.query(orders.query()).size());
      hub.deleteTable("basic_orders", false);
    }
  }

  private static void refused(Runnable call) {
    try {
      call.run();
    } catch (TesseractException e) {
      say("refused: " + e.code() + " " + e.reason());
    }
  }

  private static void show(Row row) {
    say(
        "  "
            + row.entrySet().stream()
                .map(
                    cell ->
                        cell.getKey().equals("name") && cell.getValue() != null
                            ? "name=\"" + cell.getValue() + "\""
                            : cell.getKey() + "=" + text(cell.getValue()))
                .collect(Collectors.joining(" ")));
  }

  private static String text(Object value) {
    if (value instanceof Instant at) {
      return MICROSECONDS.format(at);
    }
    if (value instanceof Double number && !number.isNaN()) {
      return number.isInfinite()
          ? (number > 0 ? "inf" : "-inf")
          : String.format(Locale.ROOT, "%.2f", number);
    }
    return String.valueOf(value);
  }

  private static void say(String line) {
    OUT.print(line + "\n");
    OUT.flush();
  }
}
