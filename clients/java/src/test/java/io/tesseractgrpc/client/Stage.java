package io.tesseractgrpc.client;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The stage that tests play on: servers to be killed, frozen and cut off, and players of vectors.
 * See tests/clients.
 */
final class Stage {
  private static final HttpClient HTTP =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  private Stage() {}

  /** What the environment must say; a test without its stage fails, and is not passed over. */
  private static String environment(String name, String how) {
    String found = System.getenv(name);
    if (found == null || found.isEmpty()) {
      throw new AssertionError(name + " is not set: run the tests with " + how);
    }
    return found;
  }

  static Path vectors() {
    return Path.of(environment("TESSERACT_VECTORS", "`python -m tests.clients java`"), "data");
  }

  static JsonElement post(String path, String body) {
    return ask(path, "POST", HttpRequest.BodyPublishers.ofString(body));
  }

  static JsonElement get(String path) {
    return ask(path, "GET", HttpRequest.BodyPublishers.noBody());
  }

  private static JsonElement ask(String path, String method, HttpRequest.BodyPublisher body) {
    String address = environment("TESSERACT_STAGE", "`python -m tests.clients java`");
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(address + path))
            .method(method, body)
            .timeout(Duration.ofSeconds(120))
            .build();
    try {
      HttpResponse<String> response = HTTP.send(request, HttpResponse.BodyHandlers.ofString());
      if (response.statusCode() != 200) {
        throw new AssertionError(
            method + " " + path + ": " + response.statusCode() + " " + response.body());
      }
      return JsonParser.parseString(response.body());
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(method + " " + path + ": " + e, e);
    }
  }

  /** A real server of the stage; closing deletes it. */
  record Server(String id, String address, JsonObject told) implements AutoCloseable {
    static Server start(String options) {
      JsonObject told = post("/servers", options).getAsJsonObject();
      return new Server(told.get("id").getAsString(), told.get("address").getAsString(), told);
    }

    JsonElement does(String what) {
      return post("/servers/" + id + "/" + what, "{}");
    }

    @Override
    public void close() {
      ask("/servers/" + id, "DELETE", HttpRequest.BodyPublishers.noBody());
    }
  }
}
