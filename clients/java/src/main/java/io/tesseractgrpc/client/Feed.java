package io.tesseractgrpc.client;

import io.tesseractgrpc.client.MirrorEvent.Delta;
import io.tesseractgrpc.client.MirrorEvent.Interrupted;
import io.tesseractgrpc.client.MirrorEvent.Lagged;
import io.tesseractgrpc.client.MirrorEvent.Progress;
import io.tesseractgrpc.client.MirrorEvent.Resumed;
import io.tesseractgrpc.client.MirrorEvent.Snapshot;
import io.tesseractgrpc.v1.Begin;
import io.tesseractgrpc.v1.Changes;
import io.tesseractgrpc.v1.Removes;
import io.tesseractgrpc.v1.Reset;
import io.tesseractgrpc.v1.Updates;
import io.tesseractgrpc.v1.WatchSessionResponse;
import io.tesseractgrpc.v1.WatchSessionResponse.EventCase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;

/**
 * One watch stream as a pure state machine: responses in, events out.
 *
 * <pre>
 * OPENING --Begin--&gt; LOADING --SnapshotRows*, SnapshotEnd--&gt; LIVE --Changes, Progress, Lagged--&gt; LIVE
 * LIVE --SessionChanged--&gt; LIVE, Changes must follow
 * OPENING --Begin (resumed)--&gt; LIVE
 * LOADING, LIVE --Reset--&gt; OPENING
 * </pre>
 *
 * <p>The feed trusts nothing. Every response must begin at the version where the one before ended,
 * pieces must follow one another without a hole, and a message must be one that its state allows.
 * Whatever else happens is {@link StreamBroken}, and the watch starts again with a new feed: a
 * mirror is then late, but never wrong.
 */
final class Feed {
  enum State {
    OPENING,
    LOADING,
    LIVE
  }

  private static final Duration DEFAULT_PROGRESS = Duration.ofSeconds(5);

  State state = State.OPENING;

  /** The longest time between two responses. */
  Duration progress = DEFAULT_PROGRESS;

  /** Whether the server was given a token. */
  boolean resuming;

  /** Why the next snapshot is sent. */
  String reason;

  /** The digest that the last Progress told; empty when none. */
  byte[] digest = {};

  private final Place place;
  private Columns columns = Columns.NONE;
  private long version;
  private long snapshotVersion;
  private List<Row> loaded;
  private final List<Changes> pieces = new ArrayList<>();
  private long piecesVersion;
  private long skipped;
  private Delta.Edited edited;

  Feed(Place place, String reason) {
    this.place = place;
    this.reason = reason;
    this.resuming = !place.token().isEmpty();
  }

  /** Takes one response; returns what there is to tell, or null. */
  MirrorEvent receive(WatchSessionResponse response) {
    EventCase kind = response.getEventCase();
    if (kind == EventCase.EVENT_NOT_SET) { // of a later version of the protocol
      throw new StreamBroken(
          "unknown_event", "the server sent an event that this client does not know");
    }
    if (pending() && kind != EventCase.CHANGES) {
      throw StreamBroken.disorder(kind + " came between two pieces of one change");
    }
    if (!allowed(kind)) {
      throw StreamBroken.disorder(kind + " is not allowed while the stream is " + state);
    }
    if (state == State.LIVE) {
      checkLine(response, kind);
    }
    MirrorEvent event =
        switch (kind) {
          case BEGIN -> begin(response);
          case SNAPSHOT_ROWS -> snapshotRows(response);
          case SNAPSHOT_END -> snapshotEnd(response);
          case CHANGES -> changes(response);
          case PROGRESS -> progress(response);
          case LAGGED -> lagged(response);
          case RESET -> reset(response.getReset());
          default -> sessionChanged(response);
        };
    if (state == State.LIVE && !pending()) {
      version = response.getToVersion();
      place.columns = columns;
      place.move(version, response.getResumeToken());
    }
    return event;
  }

  private boolean pending() {
    return !pieces.isEmpty() || edited != null;
  }

  private boolean allowed(EventCase kind) {
    return switch (kind) {
      case BEGIN -> state == State.OPENING;
      case SNAPSHOT_ROWS, SNAPSHOT_END -> state == State.LOADING;
      case RESET -> state != State.OPENING;
      default -> state == State.LIVE;
    };
  }

  private void checkLine(WatchSessionResponse response, EventCase kind) {
    long from = response.getFromVersion();
    long to = response.getToVersion();
    if (from != version) {
      throw new StreamBroken("gap", kind + " begins at version " + from + " and not at " + version);
    }
    if (Long.compareUnsigned(to, from) < 0) {
      throw StreamBroken.disorder(kind + " goes back to version " + to);
    }
    if (pending() && to != piecesVersion) {
      throw StreamBroken.disorder(
          "a piece of a change is of version " + to + " and not " + piecesVersion);
    }
  }

  private MirrorEvent begin(WatchSessionResponse response) {
    Begin begin = response.getBegin();
    columns = Columns.of(begin.getColumnsList());
    if (columns.key.isEmpty()) {
      throw StreamBroken.malformed("no column is marked as key");
    }
    if (begin.getProgressIntervalMs() != 0) {
      progress = Duration.ofMillis(Integer.toUnsignedLong(begin.getProgressIntervalMs()));
    }
    if (begin.getResumed()) {
      checkResumed(response);
    }
    place.epoch = begin.getEpoch();
    place.began = true;
    place.watchId = begin.getWatchId();
    if (begin.getResumed()) {
      state = State.LIVE;
      return new Resumed(response.getToVersion());
    }
    state = State.LOADING;
    loaded = null;
    return null;
  }

  /**
   * A resumed stream goes on from the very rows that the reader has, or it is not to be trusted.
   */
  private void checkResumed(WatchSessionResponse response) {
    if (!resuming) {
      throw StreamBroken.disorder("the server resumed a stream that gave no token");
    }
    if (!response.getBegin().getEpoch().equals(place.epoch)
        || response.getToVersion() != place.version) {
      throw StreamBroken.disorder(
          "the server resumed at version "
              + response.getToVersion()
              + " and not at "
              + place.version);
    }
    if (!columns.sameAs(place.columns)) {
      throw StreamBroken.disorder("the server resumed with other columns");
    }
  }

  private MirrorEvent snapshotRows(WatchSessionResponse response) {
    sameSnapshot(response);
    long start = response.getSnapshotRows().getStartIndex();
    if (start != loaded.size()) {
      throw new StreamBroken(
          "gap", "a piece of the snapshot starts at " + start + " and not " + loaded.size());
    }
    loaded.addAll(Block.decode(response.getSnapshotRows().getRows(), columns).complete().rows());
    return null;
  }

  private MirrorEvent snapshotEnd(WatchSessionResponse response) {
    sameSnapshot(response);
    long count = response.getSnapshotEnd().getRowCount();
    if (count != loaded.size()) {
      throw new StreamBroken(
          "gap", "the snapshot has " + loaded.size() + " rows and should have " + count);
    }
    List<Row> rows = Collections.unmodifiableList(loaded);
    long total = response.getSnapshotEnd().getTotalCount();
    loaded = null;
    state = State.LIVE;
    return new Snapshot(response.getToVersion(), rows, total, place.epoch, columns.key, reason);
  }

  private void sameSnapshot(WatchSessionResponse response) {
    if (loaded == null) {
      loaded = new ArrayList<>();
      snapshotVersion = response.getToVersion();
    }
    if (response.getToVersion() != snapshotVersion) {
      throw StreamBroken.disorder(
          "a piece of the snapshot is of version "
              + response.getToVersion()
              + " and not "
              + snapshotVersion);
    }
  }

  private MirrorEvent changes(WatchSessionResponse response) {
    pieces.add(response.getChanges());
    piecesVersion = response.getToVersion();
    return response.getContinued()
        ? null
        : joined(response.getFromVersion(), response.getToVersion());
  }

  /** The pieces that have come as one change. */
  private Delta joined(long from, long to) {
    long total = pieces.get(pieces.size() - 1).getTotalCount();
    Delta delta = new Delta(from, to, total, skipped, columns.key, edited);
    for (Changes piece : pieces) {
      for (Removes removes : piece.getRemovesList()) {
        Block keys = Block.decode(removes.getKeys(), columns);
        delta.removed.add(new Delta.Removed(word(removes.getReason(), "REMOVE_REASON_"), keys));
      }
      for (Updates updates : piece.getUpdatesList()) {
        delta.updated.add(Block.decode(updates.getRows(), columns));
      }
      if (piece.getMoves().getKeys().getRowCount() != 0) {
        Block keys = Block.decode(piece.getMoves().getKeys(), columns);
        delta.moved.add(new Delta.Placed(keys, piece.getMoves().getIndexesList()));
      }
      if (piece.getInserts().getRows().getRowCount() != 0) {
        Block rows = Block.decode(piece.getInserts().getRows(), columns).complete();
        delta.inserted.add(new Delta.Placed(rows, piece.getInserts().getIndexesList()));
      }
    }
    pieces.clear();
    skipped = 0;
    edited = null;
    return delta;
  }

  private MirrorEvent progress(WatchSessionResponse response) {
    digest = response.getProgress().getDigest().toByteArray();
    return new Progress(response.getToVersion());
  }

  private MirrorEvent lagged(WatchSessionResponse response) {
    skipped += response.getLagged().getSkippedCommits();
    return new Lagged(response.getToVersion(), response.getLagged().getSkippedCommits());
  }

  private MirrorEvent reset(Reset reset) {
    reason = word(reset.getReason(), "RESET_REASON_");
    state = State.OPENING;
    resuming = false;
    place.forget();
    return new Interrupted(reason, reset.getMessage(), place.version, false);
  }

  /**
   * The name of an enum's value as a word; "unknown" for one of a later version of the protocol.
   */
  private static String word(Enum<?> value, String prefix) {
    return value.name().equals("UNRECOGNIZED")
        ? "unknown"
        : value.name().substring(prefix.length()).toLowerCase(Locale.ROOT);
  }

  /** Rows have other columns from here on; the change that follows is told with this. */
  private MirrorEvent sessionChanged(WatchSessionResponse response) {
    if (!response.getContinued()) {
      throw StreamBroken.disorder("the session was edited and no change follows");
    }
    Columns before = columns;
    Columns after = Columns.of(response.getSessionChanged().getColumnsList());
    if (!new HashSet<>(after.key).equals(new HashSet<>(before.key))
        || after.key.stream().anyMatch(name -> after.typeOf(name) != before.typeOf(name))) {
      throw new StreamBroken(
          "definition_changed", "the session was edited and its rows are named by other columns");
    }
    columns = after;
    List<String> kept =
        after.names.stream().filter(name -> before.typeOf(name) == after.typeOf(name)).toList();
    edited = new Delta.Edited(after, kept);
    piecesVersion = response.getToVersion();
    return null;
  }
}
