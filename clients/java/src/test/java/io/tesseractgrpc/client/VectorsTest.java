package io.tesseractgrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The conformance vectors: a server says what they say, and this client makes of it what they say
 * it must.
 */
class VectorsTest {
  private static JsonObject player;
  private static Hub hub;

  @BeforeAll
  static void play() {
    player = Stage.post("/players", "{}").getAsJsonObject();
    hub = VectorReader.connect(player.get("address").getAsString());
  }

  @AfterAll
  static void leave() {
    hub.close();
  }

  private static List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(Stage.vectors())) {
      return files.filter(file -> file.toString().endsWith(".json")).sorted().toList();
    }
  }

  private static JsonObject vector(Path file) throws IOException {
    return JsonParser.parseString(Files.readString(file)).getAsJsonObject();
  }

  @Test
  void thereAreEnough() throws IOException {
    assertTrue(files().size() >= 60);
  }

  @TestFactory
  Stream<DynamicTest> theClientShowsIt() throws IOException {
    return files().stream()
        .map(
            file ->
                DynamicTest.dynamicTest(file.getFileName().toString(), () -> shows(vector(file))));
  }

  private static void shows(JsonObject vector) throws InterruptedException {
    JsonObject found = VectorReader.read(hub, vector);
    JsonObject wanted = vector.getAsJsonObject("expect");
    same("", wanted, found);
    assertEquals(List.of(), mismatches(player, vector.get("name").getAsString()));
  }

  /**
   * Compares part by part, so that a failure names the first place and not everything that there
   * is.
   */
  private static void same(String at, JsonElement wanted, JsonElement found) {
    if (wanted instanceof JsonObject one && found instanceof JsonObject other) {
      assertEquals(one.keySet(), other.keySet(), at);
      one.keySet().forEach(name -> same(at + "." + name, one.get(name), other.get(name)));
    } else if (wanted instanceof JsonArray one && found instanceof JsonArray other) {
      assertEquals(one.size(), other.size(), at);
      for (int index = 0; index < one.size(); index++) {
        same(at + "[" + index + "]", one.get(index), other.get(index));
      }
    } else {
      assertEquals(wanted, found, at);
    }
  }

  private static List<String> mismatches(JsonObject player, String name) {
    JsonArray all =
        Stage.get("/players/" + player.get("id").getAsString() + "/mismatches").getAsJsonArray();
    return StreamSupport.stream(all.spliterator(), false)
        .map(JsonElement::getAsString)
        .filter(text -> text.startsWith(name + ":"))
        .toList();
  }

  /**
   * The runner can fail: another value, another place, a change that is not told, a token that is
   * not asked with.
   */
  @ParameterizedTest
  @ValueSource(strings = {"another_value", "another_place", "not_told", "another_token"})
  void aClientThatIsWrongIsFoundOut(String wrong) throws IOException, InterruptedException {
    JsonObject vector = vector(Stage.vectors().resolve("resume_net_change.json"));
    JsonObject player = Stage.post("/players", "{\"wrong\": \"" + wrong + "\"}").getAsJsonObject();
    try (Hub hub = VectorReader.connect(player.get("address").getAsString())) {
      JsonObject found = VectorReader.read(hub, vector);
      assertNotEquals(vector.get("expect"), found);
      assertEquals(
          wrong.equals("another_token"), !mismatches(player, "resume_net_change").isEmpty());
      if (!wrong.equals("another_token")) { // it is seen in the rows, and in nothing else
        assertEquals(vector.getAsJsonObject("expect").get("interrupted"), found.get("interrupted"));
        assertNotEquals(vector.getAsJsonObject("expect").get("shown"), found.get("shown"));
      }
    }
  }
}
