package io.tesseractgrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import io.grpc.MethodDescriptor;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Every reason that a call can be refused for, with everything that it tells. */
class ErrorsTest {
  private static final MethodDescriptor.Marshaller<byte[]> BYTES =
      new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
          return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
          try {
            return stream.readAllBytes();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        }
      };

  @Test
  void errorReasons() {
    Map<String, Hub> hubs = new HashMap<>();
    int calls = 0;
    try (Stage.Server server = Stage.Server.start("{}")) {
      for (JsonElement each : server.does("errors").getAsJsonObject().getAsJsonArray("calls")) {
        JsonObject call = each.getAsJsonObject();
        String address = call.get("address").getAsString();
        String token = call.get("token").isJsonNull() ? null : call.get("token").getAsString();
        Hub hub =
            hubs.computeIfAbsent(
                address + " " + token,
                key ->
                    Hub.connect(
                        address,
                        new ConnectOptions()
                            .token(token)
                            .attempts(1)
                            .timeout(Duration.ofSeconds(30))));
        MethodDescriptor<byte[], byte[]> method =
            MethodDescriptor.newBuilder(BYTES, BYTES)
                .setType(MethodDescriptor.MethodType.UNARY)
                .setFullMethodName(call.get("method").getAsString().substring(1))
                .build();
        byte[] request = Base64.getDecoder().decode(call.get("request").getAsString());
        String name = call.get("name").getAsString();
        TesseractException error =
            assertThrows(TesseractException.class, () -> hub.call(method, request), name);
        assertEquals(call.get("error"), shown(error), name);
        calls++;
      }
    } finally {
      hubs.values().forEach(Hub::close);
    }
    assertTrue(calls >= 100, calls + " calls");
  }

  private static JsonObject shown(TesseractException error) {
    JsonObject found = new JsonObject();
    found.addProperty("code", error.code().name());
    found.addProperty("reason", error.reason());
    found.addProperty("message", error.getMessage());
    found.addProperty("field", error.field());
    found.addProperty("hint", error.hint());
    found.addProperty("resource", error.resourceName());
    found.add("retry_after_ms", JsonNull.INSTANCE);
    error.retryAfter().ifPresent(time -> found.addProperty("retry_after_ms", time.toMillis()));
    JsonObject metadata = new JsonObject();
    error.metadata().forEach(metadata::addProperty);
    found.add("metadata", metadata);
    JsonArray rows = new JsonArray();
    for (RowError row : error.rowErrors()) {
      JsonObject one = new JsonObject();
      one.addProperty("operation", row.operation());
      one.addProperty("row", row.row());
      one.addProperty("column", row.column());
      one.addProperty("reason", row.reason());
      one.addProperty("message", row.message());
      rows.add(one);
    }
    found.add("row_errors", rows);
    found.addProperty("row_error_count", error.rowErrorCount());
    return found;
  }
}
