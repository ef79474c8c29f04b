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
import io.tesseractgrpc.client.Write;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** A live window: filtered, sorted, always right. Usage: live_view [localhost:50051] */
final class LiveView {
  private LiveView() {}

  public static void main(String[] args) throws InterruptedException {
    try (Hub hub = Hub.connect(args.length > 0 ? args[0] : "localhost:50051")) {
      hub.deleteSession("live_view_top", true);
      hub.deleteTable("live_view_prices", true);
      Table prices =
          hub.createTable(
              "live_view_prices",
              Column.key("id", DataType.INT64),
              Column.of("symbol", DataType.STRING),
              Column.of("price", DataType.FLOAT64));
      prices.insert(
          List.of(
              price(1, "ACME", 12.5),
              price(2, "BOLT", 20.25),
              price(3, "CORE", 9.75),
              price(4, "DYNE", 15.5),
              price(5, "ECHO", 11.25)));
      Session top =
          hub.createSession(
              "live_view_top", prices.query().where("price >= 10").sortDescending("price"));

      BlockingQueue<MirrorEvent.Changed> events = new LinkedBlockingQueue<>();
      MirrorOptions firstThree = new MirrorOptions().window(Window.of(0, 3));
      try (Mirror mirror =
          top.mirror(
              firstThree,
              event -> {
                if (event instanceof MirrorEvent.Changed changed) {
                  events.add(changed);
                }
              })) {
        show("snapshot", events, mirror);
        prices.update(List.of(Map.of("id", 3, "price", 18.0)));
        show("CORE comes, ACME leaves the window", events, mirror);
        prices.update(List.of(Map.of("id", 4, "price", 25.0)));
        show("DYNE moves to the top", events, mirror);
        prices.update(List.of(Map.of("id", 2, "price", 5.0)));
        show("BOLT no longer passes the filter", events, mirror);
        prices.delete(List.of(3));
        show("CORE is deleted", events, mirror);
        prices.update(List.of(Map.of("id", 1, "price", 12.75)));
        show("ACME changes in its place", events, mirror);
        hub.commit(
            List.of(
                Write.insert(prices, List.of(price(6, "FLUX", 30.5))),
                Write.update(prices, List.of(Map.of("id", 5, "price", 40.0))),
                Write.delete(prices, List.of(4))));
        show("three writes in one commit are one change", events, mirror);

        mirror.waitFor(prices.insert(List.of(price(7, "GLUE", 1.0))));
        say("GLUE concerns nobody");
        say("  the mirror is as new as the write, and was told " + events.size() + " changes");
      }
      hub.deleteSession("live_view_top", false);
      hub.deleteTable("live_view_prices", false);
    }
  }

  private static Row price(long id, String symbol, double price) {
    return Row.of("id", id, "symbol", symbol, "price", price);
  }

  /** A consistent point: what was told, and the rows that follow from it. */
  private static void show(String title, BlockingQueue<MirrorEvent.Changed> events, Mirror mirror)
      throws InterruptedException {
    MirrorEvent.Changed event = events.poll(30, TimeUnit.SECONDS);
    if (event == null) {
      throw new IllegalStateException("no change within 30 s: " + title);
    }
    say(title);
    if (event instanceof MirrorEvent.Delta delta) {
      delta.changes().forEach(change -> say("  " + told(change)));
    }
    List<Row> rows = mirror.rows();
    say(
        "  = "
            + rows.size()
            + " of "
            + mirror.totalCount()
            + ": "
            + rows.stream()
                .map(row -> row.getString("symbol") + " " + money(row.getDouble("price")))
                .collect(Collectors.joining(", ")));
  }

  private static String told(RowChange change) {
    Long id = change.key().getLong("id");
    if (change instanceof RowChange.Removed removed) {
      return "remove " + id + ": " + removed.reason();
    }
    if (change instanceof RowChange.Updated updated) {
      return "update " + id + ": price " + money(updated.row().getDouble("price"));
    }
    if (change instanceof RowChange.Moved moved) {
      return "move " + id + ": to " + moved.index();
    }
    RowChange.Inserted inserted = (RowChange.Inserted) change;
    Row row = inserted.row();
    return "insert "
        + id
        + ": at "
        + inserted.index()
        + ", "
        + row.getString("symbol")
        + " "
        + money(row.getDouble("price"));
  }

  private static String money(double value) {
    return String.format(Locale.ROOT, "%.2f", value);
  }

  private static void say(String line) {
    System.out.print(line + "\n");
    System.out.flush();
  }
}
