package io.tesseractgrpc.client;

import com.google.protobuf.ByteString;
import io.tesseractgrpc.v1.Begin;
import io.tesseractgrpc.v1.SnapshotEnd;
import io.tesseractgrpc.v1.SnapshotRows;
import io.tesseractgrpc.v1.WatchSessionResponse;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/**
 * What a mirror holds at one consistent point, to be written to a file and given back to another
 * mirror.
 *
 * <p>Its bytes are the stream that would have led there: Begin, the rows and SnapshotEnd with the
 * token, each a {@code WatchSessionResponse} with its length before it. Reading them is playing
 * that stream to the state machine that reads streams, so that what is in a file is checked as
 * strictly as what comes from a server; and a bookmark of one language serves in another.
 */
public final class Bookmark {
  private static final int PIECE_ROWS = 10_000;

  private final long version;
  private final String epoch;
  private final ByteString token;
  private final List<Row> rows;
  private final long totalCount;
  private final Columns columns;

  Columns columns() {
    return columns;
  }

  Bookmark(
      long version,
      String epoch,
      ByteString token,
      List<Row> rows,
      long totalCount,
      Columns columns) {
    this.version = version;
    this.epoch = epoch;
    this.token = token;
    this.rows = List.copyOf(rows);
    this.totalCount = totalCount;
    this.columns = columns;
  }

  /** The version at which the rows are exact. */
  public long version() {
    return version;
  }

  /** The identity of the line of versions. */
  public String epoch() {
    return epoch;
  }

  /**
   * Where the server goes on.
   *
   * @return the token; empty when the rows were in doubt: then a mirror begins with a snapshot
   */
  public byte[] token() {
    return token.toByteArray();
  }

  /** The rows. */
  public List<Row> rows() {
    return rows;
  }

  /** The number of rows of the whole result. */
  public long totalCount() {
    return totalCount;
  }

  /**
   * The SHA-256 of the rows, as docs/GUARANTEES.md of the server defines it: equal for all mirrors
   * of one window at one version, in every language. O(cells).
   *
   * @return the 32 bytes
   */
  public byte[] digest() {
    return Digest.of(columns, rows);
  }

  /** For a file. O(cells). */
  public byte[] toBytes() {
    ByteArrayOutputStream written = new ByteArrayOutputStream();
    try {
      for (WatchSessionResponse response : responses()) {
        response.writeDelimitedTo(written);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory does not
    }
    return written.toByteArray();
  }

  /**
   * From a file.
   *
   * @param bytes what {@link #toBytes()} made, here or in another language
   * @throws TesseractException MALFORMED_REQUEST when they are not whole, or no bookmark
   */
  public static Bookmark fromBytes(byte[] bytes) {
    List<WatchSessionResponse> responses = new ArrayList<>();
    ByteArrayInputStream file = new ByteArrayInputStream(bytes);
    Place place = new Place();
    try {
      for (WatchSessionResponse next;
          (next = WatchSessionResponse.parseDelimitedFrom(file)) != null; ) {
        responses.add(next);
      }
      MirrorEvent.Snapshot snapshot = play(responses, place);
      return new Bookmark(
          place.version,
          place.epoch,
          place.token(),
          snapshot.rows(),
          snapshot.totalCount(),
          place.columns);
    } catch (IOException | StreamBroken e) {
      throw TesseractException.invalid(
          "MALFORMED_REQUEST", "this is no bookmark of a mirror: " + e.getMessage(), "resume");
    }
  }

  /** Where a watch goes on, and the rows that its reader has. */
  void restore(Place place, Replica replica) {
    MirrorEvent.Snapshot snapshot = play(responses(), place);
    place.began = false; // no server has answered yet
    replica.load(snapshot, place.columns);
  }

  private static MirrorEvent.Snapshot play(List<WatchSessionResponse> responses, Place place) {
    Feed feed = new Feed(place, "first");
    MirrorEvent found = null;
    for (WatchSessionResponse response : responses) {
      if (found != null) {
        throw StreamBroken.disorder("something follows the snapshot");
      }
      found = feed.receive(response);
    }
    if (found instanceof MirrorEvent.Snapshot snapshot) {
      new Replica().load(snapshot, place.columns); // no key twice
      return snapshot;
    }
    throw new StreamBroken("ended", "the snapshot is not whole");
  }

  private List<WatchSessionResponse> responses() {
    WatchSessionResponse at =
        WatchSessionResponse.newBuilder()
            .setFromVersion(version)
            .setToVersion(version)
            .setContinued(true)
            .build();
    Begin.Builder begin = Begin.newBuilder().setEpoch(epoch);
    for (int column = 0; column < columns.size(); column++) {
      String name = columns.names.get(column);
      begin.addColumns(
          io.tesseractgrpc.v1.Column.newBuilder()
              .setName(name)
              .setType(columns.types.get(column).wire())
              .setPrimaryKey(columns.key.contains(name)));
    }
    List<WatchSessionResponse> responses = new ArrayList<>();
    responses.add(at.toBuilder().setBegin(begin).build());
    for (int start = 0; start < rows.size(); start += PIECE_ROWS) {
      List<Row> piece = rows.subList(start, Math.min(rows.size(), start + PIECE_ROWS));
      SnapshotRows.Builder some = SnapshotRows.newBuilder().setStartIndex(start);
      responses.add(
          at.toBuilder()
              .setSnapshotRows(some.setRows(Batch.encode(columns, columns.names, piece)))
              .build());
    }
    SnapshotEnd end =
        SnapshotEnd.newBuilder().setRowCount(rows.size()).setTotalCount(totalCount).build();
    responses.add(
        at.toBuilder().setContinued(false).setResumeToken(token).setSnapshotEnd(end).build());
    return responses;
  }
}
