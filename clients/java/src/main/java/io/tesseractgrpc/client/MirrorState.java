package io.tesseractgrpc.client;

/**
 * What a reader may believe of the rows of a mirror.
 *
 * <pre>
 * CONNECTING --current--&gt; LIVE --lost--&gt; STALE --current--&gt; LIVE
 * any --ended--&gt; ENDED
 * </pre>
 */
public enum MirrorState {
  /** There is nothing to show yet. */
  CONNECTING,
  /** The rows are the answer as of the last message. */
  LIVE,
  /** The rows are those of an earlier version; they are kept until newer ones stand. */
  STALE,
  /** No more will come. */
  ENDED;

  /**
   * The state after a consistent point: what the reader has is the answer as of the last message.
   */
  MirrorState current() {
    return this == ENDED ? ENDED : LIVE;
  }

  /** The state after which that is no longer known: the stream broke, went silent, or was reset. */
  MirrorState lost() {
    return this == LIVE ? STALE : this;
  }
}
