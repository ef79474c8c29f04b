package io.tesseractgrpc.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.ResourceInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.ProtoUtils;
import io.tesseractgrpc.v1.RowErrors;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Everything that this client throws for a failed call: the server's refusals, with their details,
 * and what this side can refuse without asking, under the same reasons.
 *
 * <p>Switch on {@link #reason()}, one of the list in the server's docs/ERRORS.md, or on {@link
 * #code()}, which is the same for all errors of one reason. New reasons may come.
 */
public final class TesseractException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final Metadata.Key<com.google.rpc.Status> DETAILS =
      Metadata.Key.of(
          "grpc-status-details-bin",
          ProtoUtils.metadataMarshaller(com.google.rpc.Status.getDefaultInstance()));

  private final Status.Code code;
  private final transient Details details;

  private record Details(
      ErrorInfo info,
      String field,
      Duration retryAfter,
      List<RowError> rows,
      long total,
      String type,
      String resource) {
    static final Details NONE =
        new Details(ErrorInfo.getDefaultInstance(), "", null, List.of(), 0, "", "");
  }

  private TesseractException(Status.Code code, String message, Details details, Throwable cause) {
    super(message, cause);
    this.code = code;
    this.details = details;
  }

  static TesseractException of(StatusRuntimeException failure) {
    Metadata trailers = failure.getTrailers();
    Status status = failure.getStatus();
    String message = status.getDescription() == null ? "" : status.getDescription();
    if (status.getCause() != null) {
      message += ": " + status.getCause().getMessage();
    }
    com.google.rpc.Status found = null;
    try {
      found = trailers == null ? null : trailers.get(DETAILS);
    } catch (IllegalArgumentException unreadable) {
      // details that nobody can read are left out
    }
    return new TesseractException(
        status.getCode(), message, found == null ? Details.NONE : details(found), failure);
  }

  /**
   * What this side refuses or meets, under the reason that the server would give; "" where it has
   * none.
   */
  static TesseractException local(
      Status.Code code, String reason, String message, String field, RowError... rows) {
    ErrorInfo info = ErrorInfo.newBuilder().setReason(reason).build();
    return new TesseractException(
        code, message, new Details(info, field, null, List.of(rows), rows.length, "", ""), null);
  }

  static TesseractException invalid(String reason, String message, String field) {
    return local(Status.Code.INVALID_ARGUMENT, reason, message, field);
  }

  static TesseractException internal(String message, Throwable cause) {
    return new TesseractException(Status.Code.INTERNAL, message, Details.NONE, cause);
  }

  static TesseractException closed(String message) {
    return local(Status.Code.CANCELLED, "", message, "");
  }

  private static Details details(com.google.rpc.Status status) {
    ErrorInfo info = ErrorInfo.getDefaultInstance();
    ResourceInfo resource = ResourceInfo.getDefaultInstance();
    String field = "";
    Duration retry = null;
    RowErrors rows = RowErrors.getDefaultInstance();
    for (Any detail : status.getDetailsList()) {
      try {
        if (detail.is(ErrorInfo.class)) {
          info = detail.unpack(ErrorInfo.class);
        } else if (detail.is(BadRequest.class)) {
          List<BadRequest.FieldViolation> fields =
              detail.unpack(BadRequest.class).getFieldViolationsList();
          field = fields.isEmpty() ? field : fields.get(0).getField();
        } else if (detail.is(RetryInfo.class)) {
          com.google.protobuf.Duration delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retry = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        } else if (detail.is(ResourceInfo.class)) {
          resource = detail.unpack(ResourceInfo.class);
        } else if (detail.is(RowErrors.class)) {
          rows = detail.unpack(RowErrors.class);
        }
      } catch (InvalidProtocolBufferException unreadable) {
        // a detail that nobody can read is left out
      }
    }
    if (field.isEmpty()) {
      field = info.getMetadataOrDefault("field", "");
    }
    List<RowError> errors =
        rows.getErrorsList().stream()
            .map(
                e ->
                    new RowError(
                        Integer.toUnsignedLong(e.getOperation()),
                        Integer.toUnsignedLong(e.getRow()),
                        e.getColumn(),
                        e.getReason(),
                        e.getMessage()))
            .toList();
    return new Details(
        info,
        field,
        retry,
        errors,
        rows.getTotal(),
        resource.getResourceType(),
        resource.getResourceName());
  }

  /** The same error, with its row errors in the user's operations and rows. */
  TesseractException placed(UnaryOperator<RowError> place) {
    List<RowError> rows = details().rows.stream().map(place).toList();
    Details found = details();
    Details moved =
        new Details(
            found.info,
            found.field,
            found.retryAfter,
            rows,
            found.total,
            found.type,
            found.resource);
    return new TesseractException(code, getMessage(), moved, this);
  }

  private Details details() {
    return details == null ? Details.NONE : details; // null after serialization
  }

  /** The gRPC status code. */
  public Status.Code code() {
    return code;
  }

  /**
   * The reason, from the closed list of the server.
   *
   * @return the reason; empty for errors that are not the server's, such as a broken connection
   */
  public String reason() {
    return details().info.getReason();
  }

  /** The field of the request that is to blame. */
  public String field() {
    return details().field;
  }

  /**
   * What to do about it, where the server knows.
   *
   * @return the hint; empty when there is none
   */
  public String hint() {
    return metadata().getOrDefault("hint", "");
  }

  /** Everything else that the server tells programs: for example a limit and its maximum. */
  public Map<String, String> metadata() {
    return details().info.getMetadataMap();
  }

  /**
   * After how long the server asks to try again.
   *
   * @return the time; empty when it does not say
   */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(details().retryAfter);
  }

  /**
   * The rows that refused a commit, at most the first 100.
   *
   * @return the errors, in the operations and rows of the caller
   */
  public List<RowError> rowErrors() {
    return details().rows;
  }

  /** How many rows refused the commit in all. */
  public long rowErrorCount() {
    return details().total;
  }

  /**
   * The kind of the resource that is to blame: a table, a session, a hub.
   *
   * @return the kind; empty when none is
   */
  public String resourceType() {
    return details().type;
  }

  /**
   * The name of the resource that is to blame.
   *
   * @return the resource name; empty when none is
   */
  public String resourceName() {
    return details().resource;
  }

  /**
   * Whether it is likely to pass by itself, so that what may be sent twice is worth sending again.
   */
  boolean passes() {
    return code == Status.Code.UNAVAILABLE
        || (code == Status.Code.RESOURCE_EXHAUSTED && retryAfter().isPresent());
  }

  @Override
  public String toString() {
    String named = reason().isEmpty() ? code.name() : reason();
    return getClass().getSimpleName()
        + ": "
        + getMessage()
        + " ("
        + named
        + (field().isEmpty() ? "" : ", field " + field())
        + ")";
  }
}
