package io.tesseractgrpc.client;

import io.tesseractgrpc.v1.CreateSessionRequest;
import io.tesseractgrpc.v1.DeleteSessionRequest;
import io.tesseractgrpc.v1.QuerySessionStreamRequest;
import io.tesseractgrpc.v1.QuerySessionStreamResponse;
import io.tesseractgrpc.v1.SessionServiceGrpc;
import io.tesseractgrpc.v1.UpdateSessionRequest;
import io.tesseractgrpc.v1.UpdateSessionResponse;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;

/** A live query of a hub. It keeps no rows, and may be shared by threads; its mirrors keep them. */
public final class Session {
  private final Hub hub;
  private final Rpc rpc;
  private volatile io.tesseractgrpc.v1.Session wire;

  Session(Hub hub, Rpc rpc, io.tesseractgrpc.v1.Session wire) {
    this.hub = hub;
    this.rpc = rpc;
    this.wire = wire;
  }

  /** The id of the session; of an anonymous one the id that the server chose. */
  public String id() {
    return name().substring(name().lastIndexOf('/') + 1);
  }

  /**
   * The resource name of the session.
   *
   * @return {@code hubs/{hub}/sessions/{session}}
   */
  public String name() {
    return wire.getName();
  }

  /** The columns of its rows, in order, as they were when this was made or edited. */
  public List<Column> columns() {
    return Column.listOf(wire.getColumnsList());
  }

  /** Its query, as it was when this was made or edited. */
  public Query query() {
    return Query.of(wire.getQuery());
  }

  /**
   * Its present rows, all of one version.
   *
   * @param window which
   * @param minVersion waits until this version is visible; 0: does not wait
   */
  public Rows rows(Window window, long minVersion) {
    QuerySessionStreamRequest request =
        QuerySessionStreamRequest.newBuilder()
            .setName(name())
            .setWindow(window.wire())
            .setMinVersion(minVersion)
            .build();
    List<QuerySessionStreamResponse> pages =
        hub.collect(SessionServiceGrpc.getQuerySessionStreamMethod(), request);
    return Hub.joined(
        pages.get(0).getColumnsList(),
        pages.stream().map(QuerySessionStreamResponse::getRows).toList(),
        pages.get(0).getTotalCount(),
        pages.get(0).getVersion());
  }

  /**
   * Edits the session in place; everybody who mirrors it is told the difference.
   *
   * @return the version at which it takes effect
   */
  public long update(Query query) {
    UpdateSessionRequest.Builder request = UpdateSessionRequest.newBuilder();
    request.getSessionBuilder().setName(name()).setQuery(query.wire());
    request.getUpdateMaskBuilder().addPaths("query");
    request.setRequestId(newRequestId());
    UpdateSessionResponse response =
        hub.call(SessionServiceGrpc.getUpdateSessionMethod(), request.build());
    wire = response.getSession();
    return response.getVersion();
  }

  /**
   * A mirror of the whole result.
   *
   * @return the mirror; it starts at once, close it
   */
  public Mirror mirror() {
    return mirror(new MirrorOptions());
  }

  /**
   * A mirror.
   *
   * @param options which window, and how
   * @return the mirror; it starts at once, close it
   */
  public Mirror mirror(MirrorOptions options) {
    return mirror(options, null);
  }

  /**
   * A mirror with a listener that misses nothing.
   *
   * @param options which window, and how
   * @param listener called on the mirror's thread, from the first event on
   * @return the mirror; it starts at once, close it
   */
  public Mirror mirror(MirrorOptions options, Consumer<? super MirrorEvent> listener) {
    rpc.channel(); // refuses when the hub is closed
    Mirror mirror = new Mirror(rpc, this, options, listener);
    mirror.start();
    return mirror;
  }

  /** Deletes the session; everybody who mirrors it is told so. */
  public void delete() {
    hub.call(
        SessionServiceGrpc.getDeleteSessionMethod(),
        DeleteSessionRequest.newBuilder().setName(name()).build());
  }

  static String newRequestId() {
    return UUID.randomUUID().toString();
  }

  /**
   * Makes an anonymous session again that the server has let go while nobody could watch it. True
   * also where that is to be tried once more.
   */
  boolean revived(TesseractException error) {
    if (!wire.getAnonymous() || !error.reason().equals("UNKNOWN_SESSION")) {
      return false;
    }
    io.tesseractgrpc.v1.Session.Builder definition =
        io.tesseractgrpc.v1.Session.newBuilder()
            .setQuery(wire.getQuery())
            .setDescription(wire.getDescription());
    if (wire.hasPermanentFilter()) {
      definition.setPermanentFilter(wire.getPermanentFilter());
    }
    if (wire.hasIdleTimeout()) {
      definition.setIdleTimeout(wire.getIdleTimeout());
    }
    CreateSessionRequest request =
        CreateSessionRequest.newBuilder()
            .setParent(rpc.hubName)
            .setSession(definition)
            .setRequestId(newRequestId())
            .build();
    try {
      wire = rpc.call(SessionServiceGrpc.getCreateSessionMethod(), request).getSession();
    } catch (TesseractException failure) {
      return failure.passes();
    }
    return true;
  }
}
