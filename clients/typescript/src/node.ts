/** Connecting from Node: gRPC over HTTP/2. */
import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import type { SecureClientSessionOptions } from "node:http2";
import { invalid } from "./errors.js";
import { Hub } from "./hub.js";
import { Rpc, authorization } from "./rpc.js";
import type { Channel, ConnectOptions } from "./rpc.js";

export * from "./index.js";

/** Encryption. With nothing given, the server's certificate must be signed by an authority that Node knows. All are PEM. */
export interface Tls {
  /** The authorities that may sign the server's certificate. */
  ca?: string | Uint8Array;
  /** The client's certificate, where the server asks for one. */
  cert?: string | Uint8Array;
  /** Its key. */
  key?: string | Uint8Array;
  /** The name that the server's certificate must have, when it is not that of the address. */
  serverName?: string;
}

/** What `connectNode` takes beside the address. */
export interface NodeOptions extends ConnectOptions {
  /** Encryption; `true` for that with nothing given. Default: none. */
  tls?: Tls | boolean;
  /** How often a quiet connection is probed, and how long the answer may take, in milliseconds. Default 8,000 and 4,000. */
  keepalive?: { timeMs?: number; timeoutMs?: number };
  /** The largest message that is accepted from the server. Default 64 MiB. */
  maxMessageBytes?: number;
}

/** A hub of the server at `address`, for example `localhost:50051`. Nothing is sent before the first call. */
export function connectNode(address = "localhost:50051", options: NodeOptions = {}): Hub {
  const { tls, token, keepalive = {}, maxMessageBytes = 64 * 1024 * 1024 } = options;
  const secure = tls !== undefined && tls !== false;
  const baseUrl = `${secure ? "https" : "http"}://${address}`;
  if (!URL.canParse(baseUrl))
    throw invalid("MALFORMED_REQUEST", "an address is a text such as localhost:50051", "address");
  const rpc = new Rpc((): Channel => {
    const pings = { pingIntervalMs: keepalive.timeMs ?? 8_000, pingTimeoutMs: keepalive.timeoutMs ?? 4_000 };
    const sessionManager = new Http2SessionManager(baseUrl, pings, sessionOptions(tls));
    const interceptors = authorization(token);
    const limits = { readMaxBytes: maxMessageBytes, acceptCompression: [] };
    const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors, ...limits });
    return { transport, close: () => sessionManager.abort() };
  }, options);
  const { hostname } = new URL(baseUrl);
  if (token !== undefined && !secure && !/^(localhost|127\..*|\[::1\])$/.test(hostname)) {
    rpc.logger.warn(`the token travels to ${address} unencrypted; connect with tls`);
  }
  return new Hub(rpc);
}

function sessionOptions(tls: Tls | boolean | undefined): SecureClientSessionOptions {
  // A window of 1 MiB instead of 64 KiB: what a reader that stopped is sent at most, and enough for a fast one.
  const settings = { initialWindowSize: 1024 * 1024 };
  if (typeof tls !== "object") return { settings };
  const bytes = (pem: string | Uint8Array | undefined): string | Buffer | undefined => {
    return typeof pem === "object" ? Buffer.from(pem) : pem;
  };
  const { serverName } = tls;
  const files = Object.entries({
    ca: bytes(tls.ca),
    cert: bytes(tls.cert),
    key: bytes(tls.key),
    servername: serverName,
  });
  return { settings, ...Object.fromEntries(files.filter(([, value]) => value !== undefined)) };
}
