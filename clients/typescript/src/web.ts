/** Connecting from browsers, and wherever there is `fetch`: Connect or gRPC-Web over HTTP/1.1, to the server's --http-port. */
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { invalid } from "./errors.js";
import { Hub } from "./hub.js";
import { Rpc, authorization } from "./rpc.js";
import type { ConnectOptions } from "./rpc.js";

export * from "./index.js";

/** What `connectWeb` takes beside the URL. The browser sees to TLS, and to its own connections. */
export interface WebOptions extends ConnectOptions {
  /** How messages are put into HTTP. Default: connect. */
  protocol?: "connect" | "grpc-web";
}

/** A hub of the server at `url`, for example `http://localhost:8080`. Nothing is sent before the first call. */
export function connectWeb(url: string, options: WebOptions = {}): Hub {
  if (!/^https?:\/\/[^/]/.test(url)) {
    throw invalid("MALFORMED_REQUEST", "a URL is a text such as http://localhost:8080", "url");
  }
  const create = options.protocol === "grpc-web" ? createGrpcWebTransport : createConnectTransport;
  const baseUrl = url.replace(/\/+$/, "");
  const transport = create({ baseUrl, useBinaryFormat: true, interceptors: authorization(options.token) });
  return new Hub(new Rpc(() => ({ transport, close: () => undefined }), options));
}
