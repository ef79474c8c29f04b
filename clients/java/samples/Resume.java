import io.tesseractgrpc.client.Bookmark;
import io.tesseractgrpc.client.Column;
import io.tesseractgrpc.client.DataType;
import io.tesseractgrpc.client.Hub;
import io.tesseractgrpc.client.Mirror;
import io.tesseractgrpc.client.MirrorEvent;
import io.tesseractgrpc.client.MirrorOptions;
import io.tesseractgrpc.client.Row;
import io.tesseractgrpc.client.RowChange;
import io.tesseractgrpc.client.Session;
import io.tesseractgrpc.client.Table;
import io.tesseractgrpc.client.Window;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * A mirror that goes on in another process, without a new snapshot. Usage: resume [localhost:50051]
 */
final class Resume {
  private Resume() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    String address = args.length > 0 ? args[0] : "localhost:50051";
    Path directory = Files.createTempDirectory("tesseract");
    Path file = directory.resolve("board.bookmark");
    before(address, file);
    say("the bookmark is saved, the connection closed");
    meanwhile(address);
    say("meanwhile: CORE rises to 30.50, BOLT is deleted, ECHO comes");
    Bookmark bookmark = Bookmark.fromBytes(Files.readAllBytes(file));
    say("in the file: " + listed(bookmark.rows()));
    after(address, bookmark);
    Files.delete(file);
    Files.delete(directory);
  }

  private static void before(String address, Path file) throws IOException {
    try (Hub hub = Hub.connect(address)) {
      hub.deleteSession("resume_board", true);
      hub.deleteTable("resume_prices", true);
      Table prices =
          hub.createTable(
              "resume_prices",
              Column.key("id", DataType.INT64),
              Column.of("symbol", DataType.STRING),
              Column.of("price", DataType.FLOAT64));
      prices.insert(
          List.of(
              price(1, "ACME", 12.5),
              price(2, "BOLT", 20.25),
              price(3, "CORE", 9.75),
              price(4, "DYNE", 15.5)));
      Session board = hub.createSession("resume_board", prices.query().sortDescending("price"));
      try (Mirror mirror = board.mirror().ready()) {
        say("before: " + listed(mirror.rows()));
        Files.write(file, mirror.bookmark().toBytes());
      }
    }
  }

  private static void meanwhile(String address) {
    try (Hub hub = Hub.connect(address)) {
      Table prices = hub.table("resume_prices");
      prices.update(List.of(Map.of("id", 3, "price", 30.5)));
      prices.delete(List.of(2));
      prices.insert(List.of(price(5, "ECHO", 10.25)));
    }
  }

  private static void after(String address, Bookmark bookmark) throws InterruptedException {
    BlockingQueue<MirrorEvent.Changed> events = new LinkedBlockingQueue<>();
    try (Hub hub = Hub.connect(address)) {
      Session board = hub.session("resume_board");
      try (Mirror mirror =
          board.mirror(
              new MirrorOptions().resume(bookmark),
              event -> {
                if (event instanceof MirrorEvent.Resumed resumed) {
                  say("resumed at the bookmark: " + (resumed.version() == bookmark.version()));
                } else if (event instanceof MirrorEvent.Changed changed) {
                  events.add(changed);
                }
              })) {
        show(events, mirror);
        hub.table("resume_prices").update(List.of(Map.of("id", 1, "price", 50.0)));
        show(events, mirror);
        List<Row> fresh = board.rows(Window.ALL, mirror.version());
        say("the same as a fresh query: " + fresh.equals(mirror.rows()));
      }
      hub.deleteSession("resume_board", false);
      hub.deleteTable("resume_prices", false);
    }
  }

  private static void show(BlockingQueue<MirrorEvent.Changed> events, Mirror mirror)
      throws InterruptedException {
    MirrorEvent.Changed event = events.poll(30, TimeUnit.SECONDS);
    if (event == null) {
      throw new IllegalStateException("no change within 30 s");
    }
    if (event instanceof MirrorEvent.Delta delta) {
      say(
          "change: "
              + delta.changes().stream()
                  .map(change -> kind(change) + " " + change.key().getLong("id"))
                  .sorted()
                  .collect(Collectors.joining(", ")));
    } else {
      say("snapshot of " + mirror.size() + " rows");
    }
    say("  = " + listed(mirror.rows()));
  }

  private static String kind(RowChange change) {
    if (change instanceof RowChange.Removed) {
      return "remove";
    }
    if (change instanceof RowChange.Updated) {
      return "update";
    }
    return change instanceof RowChange.Moved ? "move" : "insert";
  }

  private static Row price(long id, String symbol, double price) {
    return Row.of("id", id, "symbol", symbol, "price", price);
  }

  private static String listed(List<Row> rows) {
    return rows.stream()
        .map(
            row ->
                row.getString("symbol")
                    + " "
                    + String.format(Locale.ROOT, "%.2f", row.getDouble("price")))
        .collect(Collectors.joining(", "));
  }

  private static void say(String line) {
    System.out.print(line + "\n");
    System.out.flush();
  }
}
