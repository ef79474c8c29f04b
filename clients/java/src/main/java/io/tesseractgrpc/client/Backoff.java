package io.tesseractgrpc.client;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Pauses between attempts: exponential, with full jitter, so that a thousand clients do not return
 * at once.
 */
final class Backoff {
  private final Duration initial;
  private final Duration max;
  private int failures;

  Backoff(Duration initial, Duration max) {
    this.initial = initial;
    this.max = max;
  }

  /** The limit of the next pause. */
  Duration limit() {
    double limit = initial.toNanos() * Math.pow(2, failures);
    return limit < max.toNanos() ? Duration.ofNanos((long) limit) : max;
  }

  /**
   * How long to wait after one more failure; what the server asked for (null: nothing) comes on
   * top.
   */
  Duration next(Duration asked) {
    Duration pause =
        Duration.ofNanos((long) (ThreadLocalRandom.current().nextDouble() * limit().toNanos()));
    failures = Math.min(failures + 1, 30);
    return asked == null ? pause : pause.plus(asked);
  }

  /** After a success. */
  void reset() {
    failures = 0;
  }
}
