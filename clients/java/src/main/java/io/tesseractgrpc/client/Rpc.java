package io.tesseractgrpc.client;

import com.google.protobuf.Descriptors;
import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.okhttp.OkHttpChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/**
 * The connection and its calls: token, deadlines, retries, and errors as {@link
 * TesseractException}.
 *
 * <p>Calls that may be sent twice (reads, and writes, because every write carries a request id) are
 * sent again while the server is away, until their deadline. That is done here and not by gRPC's
 * service config, which knows neither the server's RetryInfo nor more than five attempts. A
 * connection that went silent is replaced: what hangs in it would hang until TCP gives up, and
 * every new call behind it.
 *
 * <p>The transport is OkHttp's and not Netty's: it gives the window of the connection back as bytes
 * arrive, and only that of a stream as they are read. With Netty one mirror that does not read
 * would stop all calls of its connection.
 */
final class Rpc implements AutoCloseable {
  /** How much a stream may send ahead of its reader. */
  private static final int WINDOW_BYTES = 1024 * 1024;

  private static final int METADATA_BYTES = 256 * 1024;
  private static final Duration GRACE = Duration.ofMillis(250);
  private static final Pattern LOCAL =
      Pattern.compile("((localhost|127[.0-9]*|\\[::1\\]):\\d+,?)+");
  private static final System.Logger LOG = System.getLogger("io.tesseractgrpc.client");
  private static final Pattern READS =
      Pattern.compile("(Get|List|Query|Explain|Validate|RequestProgress).*");

  final ConnectOptions options;
  final String hubName;
  private final String address;
  private final Set<AutoCloseable> open = ConcurrentHashMap.newKeySet();
  private final CountDownLatch closing = new CountDownLatch(1);
  private ManagedChannel channel;
  private ManagedChannel retired;
  private Channel calls;
  private volatile boolean reached;

  Rpc(String address, ConnectOptions options) {
    this.address = address;
    this.options = options;
    this.hubName = "hubs/" + options.hub;
    if (options.token != null && !options.tls && !LOCAL.matcher(address).matches()) {
      LOG.log(Level.WARNING, "the token travels to {0} unencrypted; connect with tls()", address);
    }
    connect();
  }

  private void connect() {
    OkHttpChannelBuilder builder =
        OkHttpChannelBuilder.forTarget(Addresses.target(address), credentials())
            .directExecutor()
            .disableRetry()
            .flowControlWindow(WINDOW_BYTES)
            .maxInboundMessageSize(options.maxMessageBytes)
            .maxInboundMetadataSize(METADATA_BYTES)
            .keepAliveTime(options.keepAlive.toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveTimeout(options.keepAliveTimeout.toNanos(), TimeUnit.NANOSECONDS);
    if (options.serverName != null) {
      builder.overrideAuthority(options.serverName);
    }
    channel = builder.build();
    Metadata headers = new Metadata();
    if (options.token != null) {
      headers.put(
          Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
          "Bearer " + options.token);
    }
    calls =
        ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  private ChannelCredentials credentials() {
    if (!options.tls) {
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
    try {
      if (options.authorities != null) {
        tls.trustManager(options.authorities);
      }
      if (options.certificate != null) {
        tls.keyManager(options.certificate, options.certificateKey);
      }
    } catch (IOException e) {
      throw TesseractException.invalid(
          "MALFORMED_REQUEST", "a certificate cannot be read: " + e.getMessage(), "tls");
    }
    return tls.build();
  }

  /** The present channel; its identity says which. */
  synchronized Channel channel() {
    if (isClosed()) {
      throw TesseractException.closed("the hub was closed");
    }
    return calls;
  }

  /**
   * Replaces a channel that went silent, unless that has happened. What is still open on the old
   * one may go on until the next is replaced.
   */
  synchronized void renew(Channel silent) {
    if (isClosed() || silent != calls) {
      return;
    }
    ManagedChannel before = retired;
    retired = channel;
    connect();
    if (before != null) {
      before.shutdownNow();
    }
  }

  /**
   * Has a channel that waits before it connects again do so now, and waits a moment for it: gRPC's
   * own pauses, which cannot be set, grow to two minutes.
   */
  void wake() throws InterruptedException {
    ManagedChannel sleeping;
    synchronized (this) {
      sleeping = channel;
    }
    if (sleeping.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
      CountDownLatch changed = new CountDownLatch(1);
      sleeping.notifyWhenStateChanged(ConnectivityState.TRANSIENT_FAILURE, changed::countDown);
      sleeping.resetConnectBackoff();
      changed.await(GRACE.toNanos(), TimeUnit.NANOSECONDS);
    }
  }

  /** One request, one response. */
  <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
    return retried(
        method,
        request,
        left -> {
          CallOptions deadline = CallOptions.DEFAULT.withDeadlineAfter(left, TimeUnit.NANOSECONDS);
          return ClientCalls.blockingUnaryCall(channel(), method, deadline, request);
        });
  }

  /** One request, all responses. Each may take as long as a call. */
  <Q, A> List<A> collect(MethodDescriptor<Q, A> method, Q request) {
    return retried(
        method,
        request,
        left -> {
          Stream<A> stream = Stream.open(channel(), method, request);
          try {
            List<A> all = new ArrayList<>();
            for (A next; (next = stream.next(options.timeout)) != null; ) {
              all.add(next);
            }
            return all;
          } catch (Stream.Silence silence) {
            throw Status.DEADLINE_EXCEEDED
                .withDescription(silence.getMessage())
                .asRuntimeException();
          } finally {
            stream.cancel();
          }
        });
  }

  private interface Attempt<A> {
    A make(long nanosLeft) throws InterruptedException;
  }

  private <A> A retried(MethodDescriptor<?, ?> method, Object request, Attempt<A> attempt) {
    long deadline = System.nanoTime() + options.timeout.toNanos();
    Backoff backoff = new Backoff(options.initialBackoff, options.maxBackoff);
    try {
      for (int attempts = 1; ; attempts++) {
        try {
          A answer = attempt.make(Math.max(1, deadline - System.nanoTime()));
          reached = true;
          return answer;
        } catch (StatusRuntimeException failure) {
          if (isClosed()) {
            throw TesseractException.closed("the hub was closed during a call");
          }
          TesseractException error = TesseractException.of(failure);
          reached |= error.code() != Status.Code.UNAVAILABLE;
          long pause = backoff.next(error.retryAfter().orElse(null)).toNanos();
          boolean worth =
              options.attempts > 1 && (reached || attempts < options.attempts) && error.passes();
          if (!worth || deadline - System.nanoTime() <= pause || !mayBeSentTwice(method, request)) {
            throw error;
          }
          pause(Duration.ofNanos(pause));
          wake();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw TesseractException.closed("the thread was interrupted during a call");
    }
  }

  /**
   * Whether a request that is sent again does nothing more: it reads, or it carries a request id.
   */
  static boolean mayBeSentTwice(MethodDescriptor<?, ?> method, Object request) {
    if (READS.matcher(String.valueOf(method.getBareMethodName())).matches()) {
      return true;
    }
    if (!(request instanceof Message message)) {
      return false;
    }
    Descriptors.FieldDescriptor id = message.getDescriptorForType().findFieldByName("request_id");
    return id != null && !message.getField(id).equals("");
  }

  /** Waits, or until the hub is closed. */
  void pause(Duration time) throws InterruptedException {
    closing.await(time.toNanos(), TimeUnit.NANOSECONDS);
  }

  boolean isClosed() {
    return closing.getCount() == 0;
  }

  /** Ends something before the connection. */
  void owns(AutoCloseable closable) {
    open.add(closable);
  }

  void disowns(AutoCloseable closable) {
    open.remove(closable);
  }

  @Override
  public void close() {
    closing.countDown();
    for (AutoCloseable closable : open) {
      try {
        closable.close();
      } catch (Exception e) {
        LOG.log(Level.WARNING, "something did not close well", e);
      }
    }
    ManagedChannel[] channels;
    synchronized (this) {
      channels =
          retired == null
              ? new ManagedChannel[] {channel}
              : new ManagedChannel[] {channel, retired};
    }
    for (ManagedChannel each : channels) {
      each.shutdownNow();
    }
    try {
      for (ManagedChannel each : channels) {
        each.awaitTermination(5, TimeUnit.SECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
