/**
 * A live board: the rows of a session in a table that follows them.
 *
 * `?server=http://localhost:8080&session=board` says what to watch; `limit`, how many rows; `protocol`, connect or grpc-web.
 * The page draws at consistent points only. While the connection is away it keeps what it has and says so.
 */
import { connectWeb } from "@tesseract-grpc/client/web";
import type { Change, Column, Mirror, Row, Value } from "@tesseract-grpc/client/web";

const asked = new URLSearchParams(location.search);
const element = (id: string): HTMLElement => document.getElementById(id)!;

/** A value for people; the wire's is not lost, only not shown. */
function shown(value: Value): string {
  if (value === null) return "null";
  if (typeof value === "number") return value.toFixed(2);
  return typeof value === "object" && "text" in value ? value.text : String(value);
}

function count(id: string): void {
  element(id).textContent = String(Number(element(id).textContent) + 1);
}

function note(text: string): void {
  const line = document.createElement("li");
  line.textContent = `${new Date().toLocaleTimeString()} ${text}`;
  element("log").prepend(line);
  while (element("log").childElementCount > 5) element("log").lastElementChild?.remove();
}

/** Draws the rows: a line for each, in order, reused where the row was there before, so that only what changed flashes. */
class Board {
  #lines = new Map<string, [HTMLTableRowElement, Row]>();
  #columns: readonly Column[] = [];

  draw(mirror: Mirror): void {
    if (mirror.columns !== this.#columns) this.#head(mirror.columns);
    const key = this.#columns.filter((column) => column.primaryKey);
    const before = this.#lines;
    this.#lines = new Map();
    const body = element("body");
    for (const row of mirror.rows()) {
      const name = JSON.stringify(key.map((column) => shown(row[column.name]!)));
      const [line, old] = before.get(name) ?? [document.createElement("tr"), undefined];
      before.delete(name);
      this.#lines.set(name, [line, row]);
      if (row !== old) this.#fill(line, row, old);
      const place = body.children[this.#lines.size - 1] ?? null;
      if (place !== line) body.insertBefore(line, place);
    }
    for (const [line] of before.values()) line.remove();
  }

  #head(columns: readonly Column[]): void {
    this.#columns = columns;
    this.#lines.clear();
    element("body").replaceChildren();
    const line = document.createElement("tr");
    for (const { name, type } of columns) {
      const cell = document.createElement("th");
      cell.textContent = name;
      cell.classList.toggle("number", type === "int64" || type === "float64");
      line.append(cell);
    }
    element("head").replaceChildren(line);
  }

  #fill(line: HTMLTableRowElement, row: Row, old: Row | undefined): void {
    const cells = this.#columns.map(({ name, type }, at) => {
      const [text, value] = [shown(row[name]!), row[name]!];
      const there = line.cells[at];
      if (there !== undefined && there.textContent === text) return there;
      const cell = document.createElement("td");
      cell.textContent = text; // never as HTML: rows are other people's
      cell.classList.toggle("number", type === "int64" || type === "float64");
      cell.classList.toggle("null", value === null);
      cell.classList.toggle("changed", old !== undefined);
      return cell;
    });
    line.replaceChildren(...cells);
  }
}

async function main(): Promise<void> {
  const [server, session] = [asked.get("server") ?? "http://localhost:8080", asked.get("session") ?? "board"];
  element("title").textContent = session;
  element("subtitle").textContent = `a session of ${server}, watched from the browser`;
  const protocol = asked.get("protocol") === "grpc-web" ? "grpc-web" : "connect";
  const hub = connectWeb(server, { protocol, retry: { maxBackoffMs: 1_000 } });
  const limit = Number(asked.get("limit") ?? "50");
  const mirror = (await hub.session(session)).mirror({ window: { limit }, verify: true });
  const board = new Board();
  mirror.on("change", (change: Change) => {
    count(change.kind === "snapshot" ? "snapshots" : "changes");
    board.draw(mirror);
  });
  mirror.on("state", (state) => {
    element("state").textContent = state;
    document.body.dataset["state"] = element("state").dataset["state"] = state;
  });
  mirror.on("interrupted", ({ reason, version }) => note(`interrupted at version ${version}: ${reason}`));
  mirror.on("resumed", ({ version }) => note(`resumed at version ${version}, without a snapshot`));
  const tell = (): void => {
    element("version").textContent = String(mirror.version);
    element("count").textContent = `${mirror.length} of ${mirror.totalCount}`;
    requestAnimationFrame(tell);
  };
  await mirror.ready();
  tell();
}

main().catch((error: unknown) => note(String(error)));
