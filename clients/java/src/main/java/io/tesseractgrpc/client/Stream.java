package io.tesseractgrpc.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * One call with many responses, read one by one by a thread that may wait.
 *
 * <p>A response is asked for when the one before is taken, so at most one is held beside the
 * buffers of the connection. A reader that does not read stops the flow, and the server, which then
 * merges what it has to say, knows that it is slow.
 */
final class Stream<A> {
  private record End(Status status, Metadata trailers) {}

  private final ClientCall<?, A> call;
  private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();

  private Stream(ClientCall<?, A> call) {
    this.call = call;
  }

  static <Q, A> Stream<A> open(Channel channel, MethodDescriptor<Q, A> method, Q request) {
    ClientCall<Q, A> call = channel.newCall(method, CallOptions.DEFAULT);
    Stream<A> stream = new Stream<>(call);
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onMessage(A message) {
            stream.arrived.add(message);
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            stream.arrived.add(new End(status, trailers));
          }
        },
        new Metadata());
    call.request(1);
    call.sendMessage(request);
    call.halfClose();
    return stream;
  }

  /**
   * The next response; null when the stream has ended well.
   *
   * @throws Silence when none came in time
   * @throws StatusRuntimeException when the stream has ended otherwise
   */
  @SuppressWarnings("unchecked") // what is no end is a message
  A next(Duration patience) throws InterruptedException {
    Object next = arrived.poll(patience.toNanos(), TimeUnit.NANOSECONDS);
    if (next == null) {
      throw new Silence();
    }
    if (next instanceof End end) {
      arrived.add(end); // whoever asks again is told again
      if (end.status.isOk()) {
        return null;
      }
      throw end.status.asRuntimeException(end.trailers);
    }
    call.request(1);
    return (A) next;
  }

  void cancel() {
    call.cancel("this side has had enough", null);
  }

  /** No message for too long. */
  static final class Silence extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Silence() {
      super("no message for too long");
    }
  }
}
