/** The stage: real servers and players of vectors, over its control port (TESSERACT_STAGE). */

/** The address of the stage's control port; without it the tests that need it must fail. */
export function stageAddress(): string {
  const address = process.env["TESSERACT_STAGE"];
  if (address === undefined) throw new Error("TESSERACT_STAGE is not set: run `python -m tests.clients typescript`");
  return address;
}

/** One call of the control port. */
export async function control<T>(method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<T> {
  const init = method === "POST" ? { method, body: JSON.stringify(body ?? {}) } : { method };
  const response = await fetch(stageAddress() + path, init);
  const answer = (await response.json()) as T & { error?: string };
  if (!response.ok) throw new Error(`${method} ${path}: ${answer.error ?? response.status}`);
  return answer;
}

/** A player of vectors. */
export interface Player {
  id: string;
  address: string;
}

/** A server of the stage. */
export interface Staged {
  id: string;
  address: string;
  http_address: string | null;
  tls: { ca: string; cert?: string; key?: string } | null;
  tokens: { read: string; write: string; admin: string } | null;
}

/** Something that can be done to a server. */
export type Deed = "kill" | "start" | "stop" | "freeze" | "thaw" | "blackhole" | "heal" | "cut";

/** Does it. */
export async function act(server: Staged, deed: Deed): Promise<void> {
  await control("POST", `/servers/${server.id}/${deed}`);
}
