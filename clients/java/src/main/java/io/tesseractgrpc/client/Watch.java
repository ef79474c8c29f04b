package io.tesseractgrpc.client;

import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.tesseractgrpc.client.MirrorEvent.Interrupted;
import io.tesseractgrpc.v1.SessionServiceGrpc;
import io.tesseractgrpc.v1.WatchSessionRequest;
import io.tesseractgrpc.v1.WatchSessionResponse;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Set;
import java.util.function.Predicate;

/**
 * The events of a session, over as many streams as it takes.
 *
 * <p>A stream that ends, errs, goes silent or breaks the contract is replaced by a new one after a
 * random pause. The new one is given the resume token of the last consistent point and goes on
 * there; without a valid token it begins with a fresh snapshot, whose reason says why. What the
 * reader has is stale in between. Only errors that another attempt cannot mend end it.
 *
 * <p>Everything here runs on one thread, which is that of the reader too: while the reader is busy,
 * nothing is read.
 */
final class Watch {
  /** What a watch tells, and who keeps the rows. */
  interface Reader {
    /**
     * Folds an event in; {@link StreamBroken} when it cannot be right. Nothing is told before it
     * was folded.
     */
    void fold(MirrorEvent event, Feed feed);

    /** Tells what happened. */
    void tell(MirrorEvent event);

    /** Makes the session again that the server has let go; whether to go on. */
    boolean revived(TesseractException error);

    /** The session's resource name. */
    String name();
  }

  private static final System.Logger LOG = System.getLogger("io.tesseractgrpc.client");
  private static final int MISSED_INTERVALS = 3;

  /** What another attempt cannot mend. */
  private static final Set<Status.Code> FINAL =
      EnumSet.of(
          Status.Code.ALREADY_EXISTS,
          Status.Code.UNIMPLEMENTED,
          Status.Code.INVALID_ARGUMENT,
          Status.Code.NOT_FOUND,
          Status.Code.OUT_OF_RANGE,
          Status.Code.PERMISSION_DENIED,
          Status.Code.FAILED_PRECONDITION,
          Status.Code.UNAUTHENTICATED);

  /** Refusals that a stream without a token need not meet. */
  private static final Set<String> TOKEN_REASONS =
      Set.of("BAD_RESUME_TOKEN", "FEATURE_NOT_AVAILABLE");

  /**
   * Breaks that leave no doubt about the rows of the last consistent point, so that its token is
   * good.
   */
  private static final Set<String> TRUSTED_BREAKS =
      Set.of("reconnected", "ended", "silence", "gap");

  final Place place;
  volatile MirrorState state;

  /** Why it ended, when it was not closed on this side. */
  volatile TesseractException error;

  /** Why the last stream was given up, for people. */
  volatile String lastFailure = "";

  private final Rpc rpc;
  private final WatchSessionRequest request;
  private final Reader reader;
  private final Predicate<TesseractException> endsOn;
  private final Backoff backoff;
  private final Object wakeUp = new Object();
  private volatile boolean closed;
  private volatile Stream<WatchSessionResponse> stream;
  private Channel channel;
  private Feed feed;
  private String reason = "first";
  private Long gapAt;
  private boolean failedBefore;
  private Long currentSince;
  private long lostSince = System.nanoTime();

  Watch(Rpc rpc, WatchSessionRequest request, Reader reader, Place place, boolean restored) {
    this.rpc = rpc;
    this.request = request;
    this.reader = reader;
    this.place = place;
    this.state = restored ? MirrorState.STALE : MirrorState.CONNECTING;
    this.backoff = new Backoff(rpc.options.initialBackoff, rpc.options.maxBackoff);
    boolean cancelled = request.getOnLag() == io.tesseractgrpc.v1.OnLag.ON_LAG_CANCEL;
    this.endsOn = failure -> cancelled && failure.reason().equals("SLOW_READER");
    this.feed = new Feed(place, reason);
  }

  /** Reads until the end. */
  void run() {
    while (!closed) {
      try {
        try {
          next();
        } catch (StreamBroken | Stream.Silence | StatusRuntimeException broken) {
          failed(broken);
        }
      } catch (TesseractException end) {
        endWith(end);
      } catch (InterruptedException end) {
        endWith(TesseractException.closed("the thread of the mirror was interrupted"));
      } catch (RuntimeException end) { // another attempt would most likely meet it again
        String why = "the mirror of " + reader.name() + " cannot go on: " + end;
        endWith(TesseractException.internal(why, end));
      }
    }
    turn(MirrorState.ENDED);
  }

  boolean isClosed() {
    return closed;
  }

  /** Ends the watch; may be called from anywhere. */
  void cancel() {
    closed = true;
    Stream<WatchSessionResponse> open = stream;
    if (open != null) {
      open.cancel();
    }
    synchronized (wakeUp) {
      wakeUp.notifyAll();
    }
  }

  private void next() throws InterruptedException {
    if (stream == null) {
      open();
    }
    WatchSessionResponse response = stream.next(patience());
    if (response == null) {
      throw new StreamBroken("ended", "the server ended the stream");
    }
    long exact = place.version;
    MirrorEvent event = feed.receive(response);
    if (event instanceof Interrupted reset) {
      notice(reset);
    } else if (event instanceof MirrorEvent.Resumed || event instanceof MirrorEvent.Lagged) {
      reader.tell(event);
    } else if (event != null) {
      try {
        reader.fold(event, feed);
      } catch (StreamBroken broken) {
        place.version = exact; // the rows are those of before
        throw broken;
      }
    }
    if (feed.state == Feed.State.LIVE && state != MirrorState.LIVE) {
      failedBefore = false;
      currentSince = System.nanoTime();
      turn(state.current());
    }
    if (event instanceof MirrorEvent.Changed || event instanceof MirrorEvent.Progress) {
      reader.tell(event);
    }
  }

  private void open() {
    feed = new Feed(place, reason);
    WatchSessionRequest.Builder asked =
        request.toBuilder().setName(reader.name()).setResumeToken(place.token());
    if (place.began) { // that version has been reached, and another incarnation may never reach it
      asked.clearMinVersion();
    }
    channel = rpc.channel();
    stream = Stream.open(channel, SessionServiceGrpc.getWatchSessionMethod(), asked.build());
    if (closed) { // in between: cancel() has not seen this stream
      stream.cancel();
    }
  }

  /** How long to wait for the next message. The first may take as long as any other answer. */
  private Duration patience() {
    return feed.state == Feed.State.OPENING
        ? rpc.options.timeout
        : feed.progress.multipliedBy(MISSED_INTERVALS);
  }

  /** Gives this stream up and waits until it is time for the next; throws what cannot be mended. */
  private void failed(RuntimeException failure) throws InterruptedException {
    Stream<WatchSessionResponse> broken = stream;
    stream = null;
    if (broken != null) {
      broken.cancel();
    }
    if (closed) {
      return;
    }
    TesseractException known =
        failure instanceof StatusRuntimeException status ? TesseractException.of(status) : null;
    if (known != null && feed.resuming && TOKEN_REASONS.contains(known.reason())) {
      place.forget();
      interrupted(new StreamBroken("token_refused", known.getMessage()));
      return; // at once, and this time without a token
    }
    if (known != null && isFinal(known) && !(place.began && reader.revived(known))) {
      throw known;
    }
    StreamBroken why;
    if (failure instanceof StreamBroken told) {
      why = told;
    } else {
      why = new StreamBroken(known == null ? "silence" : "reconnected", failure.getMessage());
    }
    judge(why);
    if (feed.state == Feed.State.OPENING
        && failedBefore) { // the server is still away, which has been told
      lastFailure = why.getMessage();
    } else {
      interrupted(why);
    }
    failedBefore = true;
    if (known == null && failure instanceof Stream.Silence) {
      rpc.renew(channel);
    }
    pause(known);
  }

  /**
   * Drops the token where the rows are in doubt, or where resuming did not help against the same
   * gap.
   */
  private void judge(StreamBroken broken) {
    boolean gap = broken.reason.equals("gap");
    boolean again = gap && gapAt != null && gapAt == place.version;
    if (!TRUSTED_BREAKS.contains(broken.reason) || again) {
      place.forget();
    }
    gapAt = gap && !again ? place.version : null;
  }

  /**
   * Waits before the next attempt. What breaks as soon as it is live must not be tried without a
   * pause.
   */
  private void pause(TesseractException known) throws InterruptedException {
    long now = System.nanoTime();
    if (currentSince != null) {
      if (now - currentSince > rpc.options.maxBackoff.toNanos()) {
        backoff.reset();
      }
      lostSince = now;
      currentSince = null;
    }
    Duration limit = rpc.options.giveUpAfter;
    if (limit != null && now - lostSince > limit.toNanos()) {
      String gone =
          "no stream of "
              + reader.name()
              + " for "
              + limit.toMillis() / 1000.0
              + " s: "
              + lastFailure;
      throw known != null ? known : TesseractException.local(Status.Code.UNAVAILABLE, "", gone, "");
    }
    Duration pause = backoff.next(known == null ? null : known.retryAfter().orElse(null));
    LOG.log(
        Level.DEBUG,
        "mirror of {0}: {1}; watching again in {2}",
        reader.name(),
        lastFailure,
        pause);
    long until = now + pause.toNanos();
    synchronized (wakeUp) {
      for (long left; !closed && (left = until - System.nanoTime()) > 0; ) {
        wakeUp.wait(left / 1_000_000 + 1);
      }
    }
    if (!closed) {
      rpc.wake();
    }
  }

  private void interrupted(StreamBroken broken) {
    reason = broken.reason;
    lastFailure = broken.getMessage();
    notice(new Interrupted(reason, lastFailure, place.version, !place.token().isEmpty()));
  }

  private void notice(Interrupted notice) {
    String how = notice.resumes() ? "resuming" : "with a new snapshot";
    LOG.log(
        Level.INFO,
        "mirror of {0}: {1} at version {2} ({3}); watching again, {4}",
        reader.name(),
        notice.reason(),
        Long.toUnsignedString(notice.version()),
        notice.message(),
        how);
    turn(state.lost());
    reader.tell(notice);
  }

  /**
   * Whether another attempt is of no use. A limit may be one that only this request exceeds, as
   * long as no attempt has succeeded; later it is one that others have reached in the meantime.
   */
  private boolean isFinal(TesseractException failure) {
    return FINAL.contains(failure.code())
        || endsOn.test(failure)
        || (failure.code() == Status.Code.RESOURCE_EXHAUSTED && !place.began);
  }

  private void turn(MirrorState next) {
    if (state != next) {
      state = next;
      reader.tell(new MirrorEvent.StateChanged(next));
    }
  }

  private void endWith(TesseractException failure) {
    if (!closed && !rpc.isClosed()) { // otherwise it is an echo of the end
      error = failure;
      LOG.log(Level.INFO, "a mirror ends: {0}", failure.toString());
    }
    cancel();
  }
}
