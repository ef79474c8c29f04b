/** The package as npm packs it: what is in it, and that a consumer can import, type-check and bundle it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

const directory = mkdtempSync(join(tmpdir(), "consumer-"));
const run = (command: string, args: string[], cwd = directory): string =>
  execFileSync(command, args, { cwd, encoding: "utf8" });
let packed: string[];

before(() => {
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", directory];
  const [found] = JSON.parse(run("npm", args, process.cwd())) as [{ filename: string; files: { path: string }[] }];
  packed = found.files.map(({ path }) => path);
  const scope = join(directory, "node_modules/@tesseract-grpc");
  mkdirSync(scope, { recursive: true });
  run("tar", ["xzf", found.filename, "-C", scope]);
  run("mv", [join(scope, "package"), join(scope, "client")]);
  for (const name of ["@bufbuild", "@connectrpc", "@noble", "@types"]) {
    symlinkSync(resolve("node_modules", name), join(directory, "node_modules", name));
  }
  writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module" }));
});

after(() => rmSync(directory, { recursive: true }));

test("it holds the library, its types, the licence and the README, and nothing else", () => {
  for (const name of ["LICENSE", "README.md", "package.json", "dist/node.js", "dist/node.d.ts", "dist/web.js"]) {
    assert.ok(packed.includes(name), name);
  }
  assert.deepEqual(
    packed.filter((path) => !/^(dist\/.*\.(js|d\.ts)|LICENSE|README\.md|package\.json)$/.test(path)),
    [],
  );
});

test("a consumer imports, type-checks and bundles it", { timeout: 120_000 }, () => {
  const program = `
    import { Timestamp } from "@tesseract-grpc/client";
    import { connectNode, type Mirror, type Row } from "@tesseract-grpc/client/node";
    import { connectWeb } from "@tesseract-grpc/client/web";
    import { GroupMode } from "@tesseract-grpc/client/gen/tesseract/v1/query_pb.js";
    const rows = (mirror: Mirror): Row[] => mirror.rows();
    const hubs = [connectNode("localhost:1"), connectWeb("http://localhost:1")];
    for (const hub of hubs) hub.close();
    console.log(Timestamp.of("2020-01-01").toString(), GroupMode.ROLLUP, typeof rows, hubs.length);
  `;
  writeFileSync(join(directory, "program.ts"), program);
  const strict = [
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom,dom.iterable",
    "--types",
    "node",
  ];
  run(process.execPath, [resolve("node_modules/typescript/bin/tsc"), ...strict, "program.ts"]);
  assert.equal(run(process.execPath, ["program.js"]), "2020-01-01T00:00:00.000000Z 2 function 2\n");
  writeFileSync(join(directory, "page.js"), 'export { connectWeb } from "@tesseract-grpc/client/web";');
  const bundle = run(resolve("node_modules/.bin/esbuild"), [
    "page.js",
    "--bundle",
    "--format=esm",
    "--platform=browser",
    "--minify",
  ]);
  assert.ok(!bundle.includes("node:http2") && bundle.length < 300_000, `${bundle.length} bytes`);
});
