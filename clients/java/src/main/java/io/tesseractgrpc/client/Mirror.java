package io.tesseractgrpc.client;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import io.tesseractgrpc.v1.HubServiceGrpc;
import io.tesseractgrpc.v1.RequestProgressRequest;
import io.tesseractgrpc.v1.RequestProgressResponse;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * The rows of a window, kept current in the background by a thread of its own.
 *
 * <p>It changes only at consistent points, so whoever reads it sees the result as it was at one
 * version. While the connection is broken it keeps its rows and is {@link MirrorState#STALE}; it
 * heals by itself and is {@link MirrorState#LIVE} again. A new snapshot takes the place of the rows
 * when it is complete, so nobody ever sees them gone in between.
 *
 * <p>All methods may be called from any thread. Listeners are called one after the other on the
 * mirror's thread, and see the rows exactly as of their event: while one works, nothing else is
 * read, and the server merges what happens meanwhile. One that throws is logged and does not stop
 * the others.
 */
public final class Mirror implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger("io.tesseractgrpc.client");

  private final Rpc rpc;
  private final Session session;
  private final boolean verify;
  private final Watch watch;
  private final Thread thread;
  private final List<Consumer<? super MirrorEvent>> listeners = new CopyOnWriteArrayList<>();
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Replica replica = new Replica();
  private com.google.protobuf.ByteString token;

  Mirror(Rpc rpc, Session session, MirrorOptions options, Consumer<? super MirrorEvent> listener) {
    this.rpc = rpc;
    this.session = session;
    this.verify = options.request.getIncludeDigest();
    Place place = new Place();
    if (options.resume != null) {
      options.resume.restore(place, replica);
    }
    this.token = place.token();
    this.watch =
        new Watch(rpc, options.request.build(), new Folding(), place, options.resume != null);
    if (listener != null) {
      listeners.add(listener);
    }
    this.thread = new Thread(this::run, "tesseract-mirror-" + session.id());
    thread.setDaemon(true);
  }

  void start() {
    rpc.owns(this);
    thread.start();
  }

  private void run() {
    try {
      watch.run();
    } finally {
      watch.cancel(); // also where a listener threw an Error
      rpc.disowns(this);
      signal();
    }
  }

  /** Whether the rows are current. */
  public MirrorState state() {
    return watch.isClosed() ? MirrorState.ENDED : watch.state;
  }

  /** Why it ended, when it was not closed on this side. */
  public Optional<TesseractException> error() {
    return Optional.ofNullable(watch.error);
  }

  /**
   * The rows of the window, in order. O(rows).
   *
   * @return rows that are not changed afterwards; empty before the first snapshot
   */
  public List<Row> rows() {
    return rows(0, Integer.MAX_VALUE);
  }

  /**
   * A part of the rows. O(rows returned).
   *
   * @param start the position of the first, from 0
   * @param limit the most rows
   */
  public List<Row> rows(int start, int limit) {
    lock.lock();
    try {
      return java.util.Collections.unmodifiableList(replica.rows(start, limit));
    } finally {
      lock.unlock();
    }
  }

  /** The number of rows of the window. */
  public int size() {
    return locked(() -> (long) replica.size()).intValue();
  }

  /**
   * The version up to which the rows are exact.
   *
   * @return the version; 0 before the first snapshot
   */
  public long version() {
    return locked(() -> replica.version);
  }

  /** The number of rows of the whole result, of which the window is a part. */
  public long totalCount() {
    return locked(() -> replica.totalCount);
  }

  /**
   * The identity of the line of versions; versions of two epochs do not compare.
   *
   * @return the epoch; empty before the first snapshot
   */
  public String epoch() {
    return locked(() -> replica.epoch);
  }

  /**
   * The rows as they are now, and where to go on from there: what {@link MirrorOptions#resume}
   * takes, also in another process, for as long as the server keeps that history.
   *
   * @throws TesseractException before the first snapshot
   */
  public Bookmark bookmark() {
    return locked(
        () -> {
          if (!replica.loaded) {
            throw TesseractException.closed(
                "there is nothing to go on from before the first snapshot");
          }
          boolean sure = !watch.place.token().isEmpty(); // otherwise the rows are in doubt
          return new Bookmark(
              replica.version,
              replica.epoch,
              sure ? token : com.google.protobuf.ByteString.EMPTY,
              replica.rows(0, Integer.MAX_VALUE),
              replica.totalCount,
              new Columns(replica.columns.names, replica.columns.types, replica.key));
        });
  }

  private <T> T locked(java.util.function.Supplier<T> read) {
    lock.lock();
    try {
      return read.get();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Has a listener told of everything from here on.
   *
   * @param listener called on the mirror's thread
   * @return what stops it
   */
  public Runnable onEvent(Consumer<? super MirrorEvent> listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  /**
   * Waits for the first snapshot, as long as the hub's timeout says.
   *
   * @throws TesseractException why the mirror ended, or DEADLINE_EXCEEDED
   */
  public Mirror ready() {
    return ready(rpc.options.timeout);
  }

  /**
   * Waits for the first snapshot.
   *
   * @param timeout how long
   * @throws TesseractException why the mirror ended, or DEADLINE_EXCEEDED
   */
  public Mirror ready(Duration timeout) {
    await(() -> replica.loaded, System.nanoTime() + timeout.toNanos(), () -> false);
    return check(replica.loaded, timeout, "the first snapshot");
  }

  /**
   * Waits until the rows are exact up to a version, as long as the hub's timeout says.
   *
   * @param version for example that of a write
   * @throws TesseractException why the mirror ended, or DEADLINE_EXCEEDED
   */
  public Mirror waitFor(long version) {
    return waitFor(version, rpc.options.timeout);
  }

  /**
   * Waits until the rows are exact up to a version. Where that commit does not touch the rows, the
   * server is asked to say so at once, instead of with its next Progress.
   *
   * @param version for example that of a write
   * @param timeout how long
   * @throws TesseractException why the mirror ended, or DEADLINE_EXCEEDED
   */
  public Mirror waitFor(long version, Duration timeout) {
    long deadline = System.nanoTime() + timeout.toNanos();
    BooleanSupplier there = () -> Long.compareUnsigned(replica.version, version) >= 0;
    boolean done = false;
    for (long left;
        !done && (left = deadline - System.nanoTime()) > 0 && state() != MirrorState.ENDED; ) {
      String stream = liveStream();
      ClientCall<?, ?> asked = stream.isEmpty() ? null : askProgress(stream, version, left);
      try { // another stream has to be asked anew
        done =
            await(there, deadline, () -> !liveStream().isEmpty() && !liveStream().equals(stream));
      } finally {
        if (asked != null) {
          asked.cancel("there is no need any more", null);
        }
      }
    }
    return check(locked(there::getAsBoolean), timeout, "version " + version);
  }

  private String liveStream() {
    return watch.state == MirrorState.LIVE ? watch.place.watchId : "";
  }

  /** Whether the server can makes no difference but that of time: its failure is nobody's. */
  private ClientCall<?, ?> askProgress(String stream, long version, long nanos) {
    RequestProgressRequest request =
        RequestProgressRequest.newBuilder()
            .setParent(rpc.hubName)
            .setWatchId(stream)
            .setMinVersion(version)
            .build();
    ClientCall<RequestProgressRequest, RequestProgressResponse> call =
        rpc.channel()
            .newCall(
                HubServiceGrpc.getRequestProgressMethod(),
                CallOptions.DEFAULT.withDeadlineAfter(nanos, TimeUnit.NANOSECONDS));
    call.start(new ClientCall.Listener<>() {}, new Metadata());
    call.request(2);
    call.sendMessage(request);
    call.halfClose();
    return call;
  }

  /**
   * Waits until something is there, the mirror ends, or the wait is to be done otherwise; whether
   * it is there.
   */
  private boolean await(BooleanSupplier there, long deadline, BooleanSupplier otherwise) {
    if (Thread.currentThread() == thread) {
      throw new IllegalStateException("a listener waits for what can only come when it returns");
    }
    lock.lock();
    try {
      while (!there.getAsBoolean() && state() != MirrorState.ENDED && !otherwise.getAsBoolean()) {
        long left = deadline - System.nanoTime();
        if (left <= 0) {
          return false;
        }
        changed.awaitNanos(left);
      }
      return there.getAsBoolean();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw TesseractException.closed("the thread was interrupted while it waited for a mirror");
    } finally {
      lock.unlock();
    }
  }

  private Mirror check(boolean done, Duration timeout, String what) {
    if (done) {
      return this;
    }
    if (watch.error != null) {
      throw watch.error;
    }
    if (state() == MirrorState.ENDED) {
      throw TesseractException.closed("the mirror was closed before " + what);
    }
    String why = watch.lastFailure.isEmpty() ? "" : " (" + watch.lastFailure + ")";
    throw TesseractException.local(
        Status.Code.DEADLINE_EXCEEDED,
        "",
        what
            + " did not come within "
            + timeout.toMillis() / 1000.0
            + " s; the mirror is "
            + state()
            + why,
        "");
  }

  private void signal() {
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends the stream and the thread, and waits for a listener that is at work; the rows stay
   * readable. A listener may call it, too.
   */
  @Override
  public void close() {
    watch.cancel();
    signal();
    if (Thread.currentThread() != thread) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** What the watch calls, on the mirror's thread. */
  private final class Folding implements Watch.Reader {
    @Override
    public void fold(MirrorEvent event, Feed feed) {
      lock.lock();
      try {
        if (event instanceof MirrorEvent.Snapshot snapshot) {
          replica.load(snapshot, watch.place.columns);
        } else if (event instanceof MirrorEvent.Delta delta) {
          replica.change(delta);
        } else if (event instanceof MirrorEvent.Progress progress) {
          compare(progress, feed.digest);
          replica.arrive(progress.version(), replica.totalCount);
        }
        token = watch.place.token();
        changed.signalAll();
      } finally {
        lock.unlock();
      }
    }

    private void compare(MirrorEvent.Progress progress, byte[] digest) {
      if (verify && digest.length > 0) {
        byte[] own = Digest.of(replica.columns, replica.rows(0, Integer.MAX_VALUE));
        if (!Arrays.equals(own, digest)) {
          throw new StreamBroken(
              "digest", "the rows at " + progress.version() + " are not those of the server");
        }
      }
    }

    @Override
    public void tell(MirrorEvent event) {
      if (event instanceof MirrorEvent.StateChanged) {
        signal();
      }
      for (Consumer<? super MirrorEvent> listener : listeners) {
        try {
          listener.accept(event);
        } catch (RuntimeException e) {
          LOG.log(Level.ERROR, "a listener of the mirror of " + name() + " failed", e);
        }
      }
    }

    @Override
    public boolean revived(TesseractException error) {
      return session.revived(error);
    }

    @Override
    public String name() {
      return session.name();
    }
  }
}
