package io.tesseractgrpc.client;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import io.tesseractgrpc.v1.Value;
import io.tesseractgrpc.v1.WatchSessionRequest;
import java.time.Duration;
import java.util.Collection;
import java.util.Locale;
import java.util.function.Consumer;

/** A mirror that goes through one vector, and everything that it shows. */
final class VectorReader implements Consumer<MirrorEvent> {
  private static final JsonFormat.Printer PRINTER =
      JsonFormat.printer().preservingProtoFieldNames().omittingInsignificantWhitespace();

  private final JsonObject expect;
  private final JsonArray shown = new JsonArray();
  private final JsonArray states = new JsonArray();
  private final JsonArray interrupted = new JsonArray();
  private volatile Mirror mirror;

  private VectorReader(JsonObject expect) {
    this.expect = expect;
  }

  /** What a client shows of a vector, in the words of `expect`. */
  static JsonObject read(Hub hub, JsonObject vector) throws InterruptedException {
    return new VectorReader(vector.getAsJsonObject("expect")).read(hub, vector, options(vector));
  }

  static Hub connect(String address) {
    return Hub.connect(
        address,
        new ConnectOptions()
            .timeout(Duration.ofSeconds(30))
            .backoff(Duration.ofMillis(10), Duration.ofMillis(20)));
  }

  private JsonObject read(Hub hub, JsonObject vector, MirrorOptions options)
      throws InterruptedException {
    Session session = hub.session(vector.get("name").getAsString());
    JsonObject found = new JsonObject();
    synchronized (this) { // no event before there is a mirror to ask
      mirror = session.mirror(options, this);
    }
    try (Mirror open = mirror) {
      long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
      synchronized (this) {
        for (long left; !over() && (left = deadline - System.nanoTime()) > 0; ) {
          wait(left / 1_000_000 + 1);
        }
      }
      Thread.sleep(50); // nothing more may come
      synchronized (this) {
        found.add("shown", shown.deepCopy());
        found.add("states", states.deepCopy());
        found.add("interrupted", interrupted.deepCopy());
        found.addProperty("version", Long.toUnsignedString(open.version()));
      }
      open.error().ifPresent(error -> found.add("error", error(error)));
    }
    return found;
  }

  private boolean over() {
    if (mirror.state() == MirrorState.ENDED) {
      return true;
    }
    return shown.size() >= expect.getAsJsonArray("shown").size()
        && states.size() >= expect.getAsJsonArray("states").size()
        && Long.toUnsignedString(mirror.version()).equals(expect.get("version").getAsString())
        && !expect.has("error");
  }

  @Override
  public synchronized void accept(MirrorEvent event) {
    if (event instanceof MirrorEvent.Changed changed) {
      show(changed);
    } else if (event instanceof MirrorEvent.StateChanged turn) {
      states.add(turn.state().name().toLowerCase(Locale.ROOT));
    } else if (event instanceof MirrorEvent.Interrupted interruption) {
      JsonObject found = new JsonObject();
      found.addProperty("reason", interruption.reason());
      found.addProperty("version", Long.toUnsignedString(interruption.version()));
      found.addProperty("resumes", interruption.resumes());
      interrupted.add(found);
    }
    notifyAll();
  }

  private void show(MirrorEvent.Changed event) {
    if (event.version() != mirror.version() || event.totalCount() != mirror.totalCount()) {
      throw new AssertionError("an event and the mirror that it is of disagree");
    }
    Bookmark bookmark = mirror.bookmark();
    JsonObject point = new JsonObject();
    point.addProperty("by", event instanceof MirrorEvent.Snapshot ? "snapshot_end" : "changes");
    point.addProperty("version", Long.toUnsignedString(mirror.version()));
    point.addProperty("total_count", Long.toUnsignedString(mirror.totalCount()));
    point.add("columns", texts(bookmark.columns().names));
    point.add("key", texts(bookmark.columns().key));
    JsonArray rows = new JsonArray();
    for (Row row : mirror.rows()) {
      if (!row.keySet().stream().toList().equals(bookmark.columns().names)) {
        throw new AssertionError("a row has other columns than the mirror: " + row);
      }
      JsonArray values = new JsonArray();
      row.forEach((name, value) -> values.add(value(bookmark.columns().typeOf(name), value)));
      rows.add(values);
    }
    point.add("rows", rows);
    shown.add(point);
  }

  private static JsonArray texts(Collection<String> texts) {
    JsonArray found = new JsonArray();
    texts.forEach(found::add);
    return found;
  }

  private static JsonObject value(DataType type, Object value) {
    Value wire =
        type == DataType.JSON && value != null
            ? Value.newBuilder().setJsonValue((String) value).build()
            : Column.valueOf(value);
    try {
      return JsonParser.parseString(PRINTER.print(wire)).getAsJsonObject();
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError(e);
    }
  }

  private static JsonObject error(TesseractException error) {
    JsonObject found = new JsonObject();
    found.addProperty("code", error.code().name());
    found.addProperty("message", error.getMessage());
    found.addProperty("reason", error.reason());
    JsonArray fields = new JsonArray();
    if (!error.field().isEmpty()) {
      fields.add(error.field());
    }
    found.add("fields", fields);
    JsonObject metadata = new JsonObject();
    error.metadata().forEach(metadata::addProperty);
    if (!error.reason().isEmpty()) { // what has no reason has no metadata either
      found.add("metadata", metadata);
    }
    return found;
  }

  /** What a user would say, of what the request must be. */
  private static MirrorOptions options(JsonObject vector) {
    WatchSessionRequest.Builder asked = WatchSessionRequest.newBuilder();
    try {
      JsonFormat.parser().merge(vector.get("watch").toString(), asked);
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError(e);
    }
    MirrorOptions options = new MirrorOptions();
    if (asked.getIncludeDigest()) {
      options.verify();
    }
    if (asked.getDelivery() == io.tesseractgrpc.v1.Delivery.DELIVERY_EVERY_COMMIT) {
      options.everyCommit();
    }
    if (asked.hasWindow()) {
      Long limit = asked.getWindow().hasLimit() ? asked.getWindow().getLimit() : null;
      Window window =
          new Window(
              asked.getWindow().getOffset(), limit, null, java.util.List.of(), java.util.List.of());
      if (asked.getWindow().hasExpansion()) {
        window =
            window
                .open(asked.getWindow().getExpansion().getDepth())
                .expand(
                    asked.getWindow().getExpansion().getExpandedList().stream()
                        .<java.util.List<?>>map(
                            node ->
                                node.getValuesList().stream().map(Value::getStringValue).toList())
                        .toList());
      }
      options.window(window);
    }
    return options;
  }
}
