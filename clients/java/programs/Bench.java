import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.tesseractgrpc.client.Bookmark;
import io.tesseractgrpc.client.Hub;
import io.tesseractgrpc.client.Mirror;
import io.tesseractgrpc.client.Row;
import io.tesseractgrpc.client.Session;
import io.tesseractgrpc.client.Table;
import io.tesseractgrpc.v1.ColumnData;
import io.tesseractgrpc.v1.RowBatch;
import io.tesseractgrpc.v1.SessionServiceGrpc;
import io.tesseractgrpc.v1.TableServiceGrpc;
import io.tesseractgrpc.v1.WatchSessionRequest;
import io.tesseractgrpc.v1.WatchSessionResponse;
import io.tesseractgrpc.v1.WriteRequest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.ToLongFunction;

/**
 * How fast this client is, and gRPC without it: see clients/BENCH.md for the arguments and what is
 * printed.
 */
final class Bench {
  private static final int MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
  private static final Duration PATIENCE = Duration.ofMinutes(5);

  private final Map<String, String> arguments = new HashMap<>();
  private final long limit;

  private Bench(String[] words) {
    for (int at = 0; at + 1 < words.length; at += 2) {
      arguments.put(words[at], words[at + 1]);
    }
    limit = (long) (Double.parseDouble(argument("seconds", "3")) * 1e9);
  }

  public static void main(String[] words) {
    Bench bench = new Bench(words);
    String mode = bench.argument("mode", "");
    System.out.println(
        switch (mode) {
          case "write" -> bench.write();
          case "raw_write" -> bench.rawWrite();
          case "snapshot", "fold" -> bench.mirror(mode);
          case "raw_snapshot", "raw_fold" -> bench.rawStream(mode);
          default -> throw new IllegalArgumentException("--mode " + mode);
        });
  }

  private String argument(String name, String otherwise) {
    return arguments.getOrDefault("--" + name, otherwise);
  }

  private int number(String name, int otherwise) {
    return Integer.parseInt(argument(name, String.valueOf(otherwise)));
  }

  private static String price(long i) {
    return String.valueOf((i * 7919 % 100_000) / 100.0);
  }

  private static Row row(long i) {
    return Row.of(
        "id",
        i,
        "symbol",
        "S" + i % 1000,
        "side",
        i % 2 == 0 ? "buy" : "sell",
        "price",
        Double.valueOf(price(i)),
        "qty",
        i % 1000 + 1,
        "ts",
        Instant.EPOCH.plusNanos((1_700_000_000_000_000L + i) * 1000),
        "trader",
        "T" + i % 200,
        "active",
        i % 3 == 0);
  }

  private String write() {
    List<List<Row>> batches = new ArrayList<>();
    for (long first = 0; first < number("rows", 100_000); first += number("batch", 1000)) {
      List<Row> batch = new ArrayList<>();
      for (long i = first; i < first + number("batch", 1000); i++) {
        batch.add(row(i));
      }
      batches.add(batch);
    }
    try (Hub hub = Hub.connect(argument("address", ""))) {
      Table table = hub.table(argument("table", ""));
      return written("write", batches, table::upsert);
    }
  }

  /** Writes all batches once, and then again from the first until the time is over. */
  private <B> String written(String mode, List<B> batches, ToLongFunction<B> write) {
    batches.forEach(write::applyAsLong);
    long rows = 0;
    long version = 0;
    long start = System.nanoTime();
    long end = start;
    for (int at = 0; end - start < limit; at++) {
      version = write.applyAsLong(batches.get(at % batches.size()));
      rows += number("batch", 1000);
      end = System.nanoTime();
    }
    return String.format(
        "{\"mode\": \"%s\", \"rows\": %d, \"seconds\": %s, \"version\": %d}",
        mode, rows, (end - start) / 1e9, version);
  }

  private ManagedChannel channel() {
    return ManagedChannelBuilder.forTarget(argument("address", ""))
        .usePlaintext()
        .maxInboundMessageSize(MAX_MESSAGE_BYTES)
        .build();
  }

  private String rawWrite() {
    List<WriteRequest> batches = new ArrayList<>();
    for (long first = 0; first < number("rows", 100_000); first += number("batch", 1000)) {
      WriteRequest.Builder request = WriteRequest.newBuilder();
      request
          .addOperationsBuilder()
          .setTable(argument("table", ""))
          .getUpsertBuilder()
          .setRows(rawBatch(first));
      batches.add(request.build());
    }
    ManagedChannel channel = channel();
    try {
      TableServiceGrpc.TableServiceBlockingStub stub = TableServiceGrpc.newBlockingStub(channel);
      return written("raw_write", batches, request -> stub.write(request).getVersion());
    } finally {
      channel.shutdownNow();
    }
  }

  private RowBatch rawBatch(long first) {
    int count = number("batch", 1000);
    ColumnData.Builder id = ColumnData.newBuilder().setName("id");
    ColumnData.Builder price = ColumnData.newBuilder().setName("price");
    ColumnData.Builder qty = ColumnData.newBuilder().setName("qty");
    ColumnData.Builder ts = ColumnData.newBuilder().setName("ts");
    ColumnData.Builder active = ColumnData.newBuilder().setName("active");
    List<String> symbols = new ArrayList<>();
    List<String> sides = new ArrayList<>();
    List<String> traders = new ArrayList<>();
    for (long i = first; i < first + count; i++) {
      id.getInt64SBuilder().addValues(i);
      symbols.add("S" + i % 1000);
      sides.add(i % 2 == 0 ? "buy" : "sell");
      price.getFloat64SBuilder().addValues(Double.parseDouble(price(i)));
      qty.getInt64SBuilder().addValues(i % 1000 + 1);
      ts.getTimestampsBuilder().addValues(1_700_000_000_000_000L + i);
      traders.add("T" + i % 200);
      active.getBoolsBuilder().addValues(i % 3 == 0);
    }
    return RowBatch.newBuilder()
        .setRowCount(count)
        .addColumns(id)
        .addColumns(texts("symbol", symbols))
        .addColumns(texts("side", sides))
        .addColumns(price)
        .addColumns(qty)
        .addColumns(ts)
        .addColumns(texts("trader", traders))
        .addColumns(active)
        .build();
  }

  private static ColumnData texts(String name, List<String> texts) {
    Set<String> distinct = new LinkedHashSet<>(texts);
    List<String> order = new ArrayList<>(distinct);
    Map<String, Integer> codes = new HashMap<>();
    order.forEach(text -> codes.put(text, codes.size()));
    ColumnData.Builder column = ColumnData.newBuilder().setName(name);
    column
        .getDictionaryBuilder()
        .addAllDictionary(order)
        .addAllCodes(texts.stream().map(codes::get).toList());
    return column.build();
  }

  private String mirror(String mode) {
    try (Hub hub = Hub.connect(argument("address", ""))) {
      Session session = hub.session(argument("session", ""));
      long version = Long.parseLong(argument("version", "0"));
      long nanos = 0;
      int repetitions = 0;
      Bookmark last = null;
      for (boolean counts = false; nanos < limit; counts = true) {
        long start = System.nanoTime();
        try (Mirror mirror = session.mirror()) {
          mirror.ready(PATIENCE);
          if (mode.equals("fold")) {
            start = System.nanoTime();
            mirror.waitFor(version, PATIENCE);
          }
          long end = System.nanoTime();
          if (counts) {
            nanos += end - start;
            repetitions++;
            last = nanos < limit ? null : mirror.bookmark();
          }
        }
      }
      return String.format(
          "{\"mode\": \"%s\", \"repetitions\": %d, \"seconds\": %s, \"rows\": %d, \"digest\": \"%s\"}",
          mode,
          repetitions,
          nanos / 1e9,
          last.rows().size(),
          HexFormat.of().formatHex(last.digest()));
    }
  }

  private String rawStream(String mode) {
    ManagedChannel channel = channel();
    try {
      SessionServiceGrpc.SessionServiceBlockingStub stub =
          SessionServiceGrpc.newBlockingStub(channel);
      long version = Long.parseLong(argument("version", "0"));
      long nanos = 0;
      int repetitions = 0;
      int messages = 0;
      for (boolean counts = false; nanos < limit; counts = true) {
        long start = System.nanoTime();
        io.grpc.Context.CancellableContext call = io.grpc.Context.current().withCancellation();
        io.grpc.Context before = call.attach();
        try {
          Iterator<WatchSessionResponse> stream =
              stub.watchSession(
                  WatchSessionRequest.newBuilder().setName(argument("session", "")).build());
          WatchSessionResponse response = stream.next();
          for (messages = 1; !response.hasSnapshotEnd(); messages++) {
            response = stream.next();
          }
          if (mode.equals("raw_fold")) {
            start = System.nanoTime();
            for (; response.getToVersion() < version; messages++) {
              response = stream.next();
            }
          }
          long end = System.nanoTime();
          if (counts) {
            nanos += end - start;
            repetitions++;
          }
        } finally {
          call.detach(before);
          call.cancel(null);
        }
      }
      return String.format(
          "{\"mode\": \"%s\", \"repetitions\": %d, \"seconds\": %s, \"messages\": %d}",
          mode, repetitions, nanos / 1e9, messages);
    } finally {
      channel.shutdownNow();
    }
  }
}
