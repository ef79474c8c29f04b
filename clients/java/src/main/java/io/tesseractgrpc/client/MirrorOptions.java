package io.tesseractgrpc.client;

import io.tesseractgrpc.v1.Delivery;
import io.tesseractgrpc.v1.WatchSessionRequest;
import java.time.Duration;

/** How a mirror is to be served. Every setter returns this; {@code mirror} takes a copy. */
public final class MirrorOptions {
  final WatchSessionRequest.Builder request = WatchSessionRequest.newBuilder();
  Bookmark resume;

  /** The defaults: the whole result, net changes, conflation of a reader that lags. */
  public MirrorOptions() {}

  /**
   * The part of the result to mirror.
   *
   * @param window the window; default: all
   */
  public MirrorOptions window(Window window) {
    request.setWindow(window.wire());
    return this;
  }

  /**
   * Goes on where another mirror of the same session (or one with the same query) and window was:
   * the mirror has these rows at once and is stale until the server has told what was missed, or
   * sent a snapshot where it cannot tell.
   *
   * @param bookmark what {@link Mirror#bookmark()} gave
   */
  public MirrorOptions resume(Bookmark bookmark) {
    resume = bookmark;
    return this;
  }

  /**
   * Has every Progress compared with a digest of the rows. A difference is an interruption (reason
   * {@code digest}) and a new snapshot.
   */
  public MirrorOptions verify() {
    request.setIncludeDigest(true);
    return this;
  }

  /** Each commit as a change of its own, instead of all that is pending as one. */
  public MirrorOptions everyCommit() {
    request.setDelivery(Delivery.DELIVERY_EVERY_COMMIT);
    return this;
  }

  /**
   * What happens when this reader falls behind.
   *
   * @param onLag see there; default: {@link OnLag#CONFLATE}
   */
  public MirrorOptions onLag(OnLag onLag) {
    request.setOnLag(
        switch (onLag) {
          case CONFLATE -> io.tesseractgrpc.v1.OnLag.ON_LAG_UNSPECIFIED;
          case RESET -> io.tesseractgrpc.v1.OnLag.ON_LAG_RESET;
          case CANCEL -> io.tesseractgrpc.v1.OnLag.ON_LAG_CANCEL;
        });
    return this;
  }

  /**
   * The shortest time between two changes; commits in between are merged.
   *
   * @param time the time; default: 0
   */
  public MirrorOptions minInterval(Duration time) {
    request.setMinInterval(
        com.google.protobuf.Duration.newBuilder()
            .setSeconds(time.getSeconds())
            .setNanos(time.getNano()));
    return this;
  }

  /**
   * Has the first snapshot wait until a version is visible.
   *
   * @param version for example that of a write; default: do not wait
   */
  public MirrorOptions minVersion(long version) {
    request.setMinVersion(version);
    return this;
  }

  /** What a server does for a reader that falls behind. */
  public enum OnLag {
    /** What is pending is merged into the net change. */
    CONFLATE,
    /** The rows are sent anew. */
    RESET,
    /** The mirror ends with RESOURCE_EXHAUSTED and SLOW_READER. */
    CANCEL
  }
}
