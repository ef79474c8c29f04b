package io.tesseractgrpc.client;

import java.util.ArrayList;
import java.util.List;

/** What a mirror tells its listeners, in the order in which it happens. */
public sealed interface MirrorEvent {
  /** The rows, or their number, may have changed: a {@link Snapshot} or a {@link Delta}. */
  sealed interface Changed extends MirrorEvent {
    /** The version up to which the rows are exact now. */
    long version();

    /** The number of rows of the whole result, of which the window is a part. */
    long totalCount();
  }

  /**
   * The complete window at one version; it took the place of whatever was there.
   *
   * @param version the version at which the rows are exact
   * @param rows the rows, in order
   * @param totalCount the number of rows of the whole result
   * @param epoch the identity of the line of versions
   * @param key the names of the key columns
   * @param reason why it was sent: first, reconnected, gap and so on, or the server's reason for a
   *     reset in lower case
   */
  record Snapshot(
      long version, List<Row> rows, long totalCount, String epoch, List<String> key, String reason)
      implements Changed {}

  /** Everything that changed between two versions, as one. */
  final class Delta implements Changed {
    private final long fromVersion;
    private final long version;
    private final long totalCount;
    private final long skippedCommits;
    final List<String> key;
    final Edited edited;
    final List<Removed> removed = new ArrayList<>();
    final List<Block> updated = new ArrayList<>();
    final List<Placed> moved = new ArrayList<>();
    final List<Placed> inserted = new ArrayList<>();
    private List<RowChange> changes;

    Delta(
        long fromVersion,
        long version,
        long totalCount,
        long skipped,
        List<String> key,
        Edited edited) {
      this.fromVersion = fromVersion;
      this.version = version;
      this.totalCount = totalCount;
      this.skippedCommits = skipped;
      this.key = key;
      this.edited = edited;
    }

    /** The version before. */
    public long fromVersion() {
      return fromVersion;
    }

    @Override
    public long version() {
      return version;
    }

    @Override
    public long totalCount() {
      return totalCount;
    }

    /**
     * How many commits are told as this one change because the reader was slow; the net effect is
     * still exact.
     *
     * @return the count; 0 for a reader that is not slow
     */
    public long skippedCommits() {
      return skippedCommits;
    }

    /** Whether the session was edited, so that rows may have other columns from here on. */
    public boolean isEdited() {
      return edited != null;
    }

    /**
     * The changes one by one, in the order in which they are to be applied: removes, updates,
     * moves, inserts. They are made when first asked for.
     */
    public synchronized List<RowChange> changes() {
      if (changes == null) {
        List<RowChange> all = new ArrayList<>();
        for (Removed part : removed) {
          part.keys
              .partialRows(key)
              .forEach(name -> all.add(new RowChange.Removed(name, part.reason)));
        }
        for (Block part : updated) {
          List<Row> names = part.partialRows(key);
          List<Row> rows = part.partialRows(null);
          for (int row = 0; row < part.count(); row++) {
            all.add(new RowChange.Updated(names.get(row), rows.get(row)));
          }
        }
        for (Placed part : moved) {
          List<Row> names = part.rows.partialRows(key);
          for (int row = 0; row < names.size(); row++) {
            all.add(new RowChange.Moved(names.get(row), part.indexes.get(row)));
          }
        }
        for (Placed part : inserted) {
          List<Row> names = part.rows.partialRows(key);
          List<Row> rows = part.rows.rows();
          for (int row = 0; row < names.size(); row++) {
            all.add(new RowChange.Inserted(names.get(row), rows.get(row), part.indexes.get(row)));
          }
        }
        changes = List.copyOf(all);
      }
      return changes;
    }

    /** Rows that left for one reason. */
    record Removed(String reason, Block keys) {}

    /** Rows and the positions that they have after the delta. */
    record Placed(Block rows, List<Integer> indexes) {}

    /** The columns from here on, and the names of those that rows keep from before. */
    record Edited(Columns columns, List<String> kept) {}
  }

  /**
   * Nothing else happened up to a version.
   *
   * @param version the version up to which the rows are exact
   */
  record Progress(long version) implements MirrorEvent {}

  /**
   * The mirror has another state.
   *
   * @param state the new state
   */
  record StateChanged(MirrorState state) implements MirrorEvent {}

  /**
   * A stream was given up, or reset by the server. The rows stay until newer ones stand.
   *
   * @param reason one word: reconnected, ended, silence, gap, disorder, malformed, digest,
   *     unknown_event, token_refused, or the server's reason for a reset (too_old, other_epoch,
   *     definition_changed, lagged, table_changed)
   * @param message the same for people
   * @param version the version up to which the rows are exact
   * @param resumes whether the next stream is asked to go on from there; otherwise it begins with a
   *     snapshot
   */
  record Interrupted(String reason, String message, long version, boolean resumes)
      implements MirrorEvent {}

  /**
   * A new stream goes on where the last one broke, without a snapshot: nothing was lost.
   *
   * @param version the version from which on it does
   */
  record Resumed(long version) implements MirrorEvent {}

  /**
   * The reader was slow: so many commits are told as one net change. The rows stay exact.
   *
   * @param version the version so far
   * @param skippedCommits the number of commits that are not seen one by one
   */
  record Lagged(long version, long skippedCommits) implements MirrorEvent {}
}
