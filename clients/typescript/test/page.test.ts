/** The live board of `page/` in a real browser: right rows while they change, and after the server was killed. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import type { BrowserContext, Page } from "playwright-core";
import type { ColumnInput, Hub, Session, Table } from "@tesseract-grpc/client/node";
import { connect, withServer } from "./live.js";
import { act } from "./stage.js";
import type { Staged } from "./stage.js";

const COLUMNS: ColumnInput[] = [
  { name: "symbol", type: "string", primaryKey: true },
  { name: "price", type: "float64" },
  { name: "volume", type: "int64" },
  { name: "venue", type: "enum", enumValues: ["XETR", "XLON", "XNYS", "XTKS"] },
  { name: "traded", type: "timestamp" },
];
const SYMBOLS = [
  "ACME",
  "BOLT",
  "CORE",
  "DYNE",
  "ECHO",
  "FLUX",
  "GLUE",
  "HELM",
  "IRIS",
  "JADE",
  "KITE",
  "LYNX",
  "MINT",
  "NOVA",
];
const ARGS =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

let files: Server;
let context: BrowserContext;
const profile = mkdtempSync(join(tmpdir(), "chromium-"));

before(async () => {
  files = createServer((request, response) => {
    const path = new URL(request.url!, "http://page").pathname;
    try {
      const content = readFileSync(join("build/page", path === "/" ? "index.html" : path));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/html" }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => files.listen(0, "127.0.0.1", resolve));
  const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
  const viewport = { width: 1_000, height: 600 };
  context = await chromium.launchPersistentContext(profile, { executablePath, args: ARGS.split(" "), viewport });
});

after(async () => {
  await context?.close();
  files.close();
  rmSync(profile, { recursive: true, force: true });
});

const origin = (): string => `http://127.0.0.1:${(files.address() as AddressInfo).port}`;

async function openBoard(server: Staged, protocol: string): Promise<[Page, string[]]> {
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  const query = new URLSearchParams({ server: server.http_address!, session: "market", limit: "10", protocol });
  await page.goto(`${origin()}/?${query}`);
  return [page, problems];
}

/** The quotes change: a commit of some updates, and now and then a symbol that comes or goes. */
function market(table: Table): (round: number) => Promise<bigint> {
  const quote = (symbol: string, at: number): Record<string, unknown> => {
    const price = 20 + ((at * 7_919) % 9_000) / 100;
    const venue = at % 5 === 0 ? null : ["XETR", "XLON", "XNYS", "XTKS"][at % 4];
    return {
      symbol,
      price,
      volume: BigInt(at) * 9_007_199_254_741n,
      venue,
      traded: new Date(1_790_000_000_000 + at * 977),
    };
  };
  return async (round) => {
    if (round === 0) return table.insert(SYMBOLS.map((symbol, at) => quote(symbol, at + 1)));
    if (round % 7 === 0) await table.delete(SYMBOLS[round % 14]!);
    return table.upsert([1, 5, 9].map((step) => quote(SYMBOLS[(round * step) % 14]!, round * 31 + step)));
  };
}

/** The page shows what a query has, rows, order and counts, at a version that is not older than a write. */
async function showsTheQuery(page: Page, session: Session, version: bigint): Promise<void> {
  await page.waitForFunction(
    (least) => Number(document.getElementById("version")!.textContent) >= least,
    Number(version),
  );
  const rows = await session.query({ window: { limit: 10 }, minVersion: version });
  const wanted = rows.map((row) => {
    return Object.values(row).map((value) => (typeof value === "number" ? value.toFixed(2) : String(value)));
  });
  const found = await page.$$eval("#body tr", (lines) => {
    return lines.map((line) => [...line.querySelectorAll("td")].map((cell) => cell.textContent));
  });
  assert.deepEqual(found, wanted);
  assert.ok(wanted.length > 0);
  assert.equal(await page.textContent("#count"), `${wanted.length} of ${rows.totalCount}`);
}

const state = (page: Page, wanted: string): Promise<unknown> => page.waitForSelector(`#state[data-state="${wanted}"]`);

for (const protocol of ["connect", "grpc-web"]) {
  test(
    `a page watches a session, through a restart of the server, over ${protocol}`,
    { timeout: 180_000 },
    async () => {
      const args = ["--http-cors-origins", origin(), "--progress-interval", "0.5"];
      await withServer({ http: true, args }, async (server) => {
        const hub: Hub = connect(server);
        const table = await hub.createTable("quotes", COLUMNS);
        const trade = market(table);
        await trade(0);
        const session = await hub.createSession({ table: "quotes", filter: "price >= 25", sort: ["-price"] }, "market");
        const [page, problems] = await openBoard(server, protocol);
        await state(page, "live");
        for (let round = 1; round <= 30; round++) {
          const version = await trade(round);
          if (round % 10 === 0) await showsTheQuery(page, session, version);
          else await sleep(20);
        }
        const before = await page.$$eval("#body tr", (lines) => lines.map((line) => line.textContent));
        await act(server, "kill");
        await state(page, "stale");
        assert.deepEqual(await page.$$eval("#body tr", (lines) => lines.map((line) => line.textContent)), before);
        await act(server, "start");
        let version = 0n;
        for (let round = 31; round <= 45; round++) version = await trade(round);
        await state(page, "live");
        await showsTheQuery(page, session, version);
        assert.equal(await page.textContent("#snapshots"), "1"); // it was resumed
        assert.match((await page.textContent("#log"))!, /resumed at version \d+, without a snapshot/);
        const screenshot = process.env["BROWSER_SCREENSHOT"];
        if (screenshot !== undefined && protocol === "connect") await page.screenshot({ path: screenshot });
        assert.deepEqual(problems, []);
        await page.close();
        hub.close();
      });
    },
  );
}

test("a page of an origin that the server does not know gets nothing", { timeout: 60_000 }, async () => {
  await withServer({ http: true, args: ["--http-cors-origins", "https://elsewhere.example"] }, async (server) => {
    const hub = connect(server);
    await hub.createTable("quotes", COLUMNS);
    await hub.createSession("quotes", "market");
    const [page] = await openBoard(server, "connect");
    await page.waitForFunction(() => document.getElementById("log")!.textContent.includes("fetch"));
    assert.equal(await page.getAttribute("#state", "data-state"), "connecting");
    assert.equal(await page.textContent("#snapshots"), "0");
    await page.close();
    hub.close();
  });
});
