/**
 * The rows of a watched window: a pure state machine that applies events at consistent points.
 *
 * A change is applied in the order that the wire contract writes. Rows that leave or move are taken out of the order, and
 * those that move or come are put at their places, which are places after the whole change; the rows that stay fill the
 * gaps in their old order. Everything is checked before anything is written, so a change that does not fit throws
 * `StreamBroken` and leaves the rows as they were. Rows are replaced and never edited.
 */
import type { Delta, Edited, Progress, RowChange, Snapshot } from "./events.js";
import { StreamBroken } from "./feed.js";
import { keyOf, keyValue } from "./values.js";
import type { Column, Row, Value } from "./values.js";

/** A row in its place. `taken` is the number of the last change that took it out of it. */
interface Slot {
  row: Row;
  taken: number;
}

/** The rows at `version`. Before the first snapshot there are none and `loaded` is false. */
export class Replica {
  loaded = false;
  version = 0n;
  totalCount = 0;
  epoch = "";
  columns: readonly Column[] = [];
  #key: readonly string[] = [];
  #order: Slot[] = [];
  #slots = new Map<unknown, Slot>();
  #number = 0;

  /** The number of rows. */
  get length(): number {
    return this.#order.length;
  }

  /** The rows from `start` on, at most `limit`, in order. O(rows returned). */
  rows(start = 0, limit = Infinity): Row[] {
    return this.#order.slice(start, start + limit).map((slot) => slot.row);
  }

  /** Takes an event. O(changes), and O(window) where rows come, go or move. */
  apply(event: Snapshot | Delta | Progress): void {
    if (event.kind === "snapshot") this.#load(event);
    else if (event.kind === "changes") this.#change(event);
    this.version = event.version;
    if (event.kind !== "progress") this.totalCount = event.totalCount;
  }

  #load({ rows, columns, epoch }: Snapshot): void {
    const key = keyOf(columns);
    const order = rows.map((row) => ({ row, taken: 0 }));
    const slots = new Map<unknown, Slot>();
    for (const slot of order) slots.set(keyValue(key, slot.row), slot);
    if (slots.size !== order.length) throw malformed("a key stands twice in one snapshot");
    [this.columns, this.epoch, this.loaded] = [columns, epoch, true];
    [this.#key, this.#order, this.#slots] = [key, order, slots];
  }

  #change({ changes, edited }: Delta): void {
    if (!this.loaded) throw new StreamBroken("disorder", "a change came before the snapshot");
    const leaves = new Map<unknown, Slot>();
    const comes = new Map<unknown, Slot>();
    const updates: [Slot, Row][] = [];
    const number = ++this.#number;
    const places: [number, Slot][] = [];
    for (const change of changes) {
      const key = keyValue(this.#key, change.key);
      const slot = change.kind === "insert" ? { row: change.row, taken: 0 } : this.#slots.get(key);
      if (slot === undefined) throw malformed(`a change names the row ${String(key)}, which is not in the window`);
      if (change.kind === "insert") {
        if (comes.has(key) || this.#slots.has(key)) throw malformed("a row comes that is there already");
        comes.set(key, slot);
      } else if (change.kind === "update") {
        if (slot.taken === number) throw malformed("a row leaves and is updated in one change");
        updates.push([slot, change.row]);
      } else {
        if (slot.taken === number) throw malformed("a row leaves or moves twice in one change");
        slot.taken = number;
        if (change.kind === "remove") leaves.set(key, slot);
      }
      if (change.kind === "move" || change.kind === "insert") places.push([change.index, slot]);
    }
    if (edited !== undefined) checkEdit(edited, changes, this.#order.length, leaves.size);
    const order = reordered(this.#order, number, leaves.size, places);
    for (const [slot, values] of updates) slot.row = { ...slot.row, ...values };
    for (const key of leaves.keys()) this.#slots.delete(key);
    this.#order = order;
    if (edited !== undefined) this.#reshape(edited);
    for (const [key, slot] of comes) this.#slots.set(key, slot);
  }

  /** Brings the rows into the new columns; those that are new have been written. */
  #reshape({ columns }: Edited): void {
    [this.columns, this.#key] = [columns, keyOf(columns)];
    this.#slots = new Map();
    for (const slot of this.#order) {
      slot.row = Object.fromEntries(columns.map(({ name }): [string, Value] => [name, slot.row[name]!]));
      this.#slots.set(keyValue(this.#key, slot.row), slot);
    }
  }
}

/** Demands of a change with other columns that it has the new ones for every row that stays. */
function checkEdit({ columns, kept }: Edited, changes: readonly RowChange[], rows: number, leaving: number): void {
  const added = columns.filter((column) => !kept.has(column.name));
  if (added.length === 0) return;
  const whole = changes.filter((change) => change.kind === "update" && added.every(({ name }) => name in change.row));
  if (whole.length + leaving !== rows) throw malformed("after an edit, a row that stays lacks a new column");
}

/** The order without the slots that change `number` takes out, of which `leave` do not come back, and with others at their
 * places. */
function reordered(order: Slot[], number: number, leave: number, places: readonly [number, Slot][]): Slot[] {
  if (leave === 0 && places.length === 0) return order;
  const moves = places.filter(([, slot]) => slot.taken === number).length;
  const length = order.length - leave - moves + places.length;
  const found = new Array<Slot | undefined>(length).fill(undefined);
  for (const [index, slot] of places) {
    if (index >= length) throw malformed(`position ${index} in a window of ${length} rows`);
    if (found[index] !== undefined) throw malformed("two rows are placed at one position");
    found[index] = slot;
  }
  let next = 0;
  for (let at = 0; at < length; at++) {
    if (found[at] !== undefined) continue;
    while (order[next]!.taken === number) next++;
    found[at] = order[next++];
  }
  return found as Slot[];
}

function malformed(message: string): StreamBroken {
  return new StreamBroken("malformed", message);
}
