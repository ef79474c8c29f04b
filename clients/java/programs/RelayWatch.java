import io.tesseractgrpc.client.Bookmark;
import io.tesseractgrpc.client.Hub;
import io.tesseractgrpc.client.Mirror;
import io.tesseractgrpc.client.MirrorEvent;
import io.tesseractgrpc.client.MirrorOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HexFormat;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A mirror for the relay test. It verifies every digest, and says on stdout when it is live; on a
 * line {@code digest VERSION} it waits for that version and tells what it holds.
 *
 * <p>Usage: relay_watch --address A[,B] --session NAME
 */
final class RelayWatch {
  private static final Duration PATIENCE = Duration.ofMinutes(2);

  private RelayWatch() {}

  public static void main(String[] args) throws IOException {
    String address = null;
    String session = null;
    for (int at = 0; at + 1 < args.length; at += 2) {
      switch (args[at]) {
        case "--address" -> address = args[at + 1];
        case "--session" -> session = args[at + 1];
        default -> throw new IllegalArgumentException(args[at]);
      }
    }
    AtomicLong resumes = new AtomicLong();
    AtomicLong resets = new AtomicLong();
    AtomicLong changes = new AtomicLong();
    try (Hub hub = Hub.connect(address);
        Mirror mirror =
            hub.session(session)
                .mirror(
                    new MirrorOptions().verify(),
                    event -> {
                      if (event instanceof MirrorEvent.Resumed) {
                        resumes.incrementAndGet();
                      } else if (event instanceof MirrorEvent.Changed) {
                        if (event instanceof MirrorEvent.Snapshot again
                            && !again.reason().equals("first")) {
                          resets.incrementAndGet();
                        }
                        changes.incrementAndGet();
                      }
                    })) {
      mirror.ready(PATIENCE);
      say("{\"state\": \"live\", \"version\": " + mirror.version() + "}");
      BufferedReader orders =
          new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      for (String line; (line = orders.readLine()) != null; ) {
        Bookmark at = mirror.waitFor(Long.parseLong(line.split(" ")[1]), PATIENCE).bookmark();
        say(
            String.format(
                "{\"version\": %d, \"rows\": %d, \"digest\": \"%s\", \"resumes\": %d, \"resets\": %d, \"changes\": %d}",
                at.version(),
                at.rows().size(),
                HexFormat.of().formatHex(at.digest()),
                resumes.get(),
                resets.get(),
                changes.get()));
      }
    }
  }

  private static void say(String line) {
    System.out.println(line);
    System.out.flush();
  }
}
