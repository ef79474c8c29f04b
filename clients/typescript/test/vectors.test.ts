/** All vectors against the stage's player, over real gRPC; and the proof that this runner can fail. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import { control } from "./stage.js";
import type { Player } from "./stage.js";
import { loadVectors, play } from "./vectors.js";
import type { Outcome, Vector } from "./vectors.js";

const directory = process.env["TESSERACT_VECTORS"] ?? join(process.cwd(), "../../tests/vectors");
const vectors = loadVectors(join(directory, "data"));

/** What must come of a vector: no metadata and empty metadata are the same. */
function wanted({ expect }: Vector): Outcome {
  return expect.error === undefined ? expect : { ...expect, error: { metadata: {}, ...expect.error } };
}

test("there are enough vectors", () => assert.ok(vectors.length >= 150, String(vectors.length)));

describe("vectors", { concurrency: 4 }, () => {
  let player: Player;
  before(async () => {
    player = await control<Player>("POST", "/players");
  });
  after(() => control("DELETE", `/players/${player.id}`));

  for (const vector of vectors) {
    test(vector.name, async () => {
      const found = await play(vector, player.address);
      assert.deepEqual(found, wanted(vector));
      const mismatches = await control<string[]>("GET", `/players/${player.id}/mismatches`);
      assert.deepEqual(
        mismatches.filter((text) => text.startsWith(`${vector.name}:`)),
        [],
      );
    });
  }
});

describe("a client that is wrong is found out", () => {
  const vector = vectors.find(({ name }) => name === "resume_net_change")!;
  for (const wrong of ["another_value", "another_place", "not_told", "another_token"]) {
    test(wrong, async () => {
      const player = await control<Player>("POST", "/players", { wrong });
      const found = await play(vector, player.address);
      const mismatches = await control<string[]>("GET", `/players/${player.id}/mismatches`);
      assert.throws(() => assert.deepEqual([found, mismatches], [vector.expect, []]));
      assert.equal(mismatches.length > 0, wrong === "another_token");
      await control("DELETE", `/players/${player.id}`);
    });
  }
});
