/** error_reasons: every reason that a unary call can be refused with, as real servers give it. */
import { create } from "@bufbuild/protobuf";
import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TesseractError, connectNode } from "@tesseract-grpc/client/node";
import { DiagnosisService } from "#internal/gen/tesseract/v1/diagnosis_service_pb.js";
import { HubService } from "#internal/gen/tesseract/v1/hub_service_pb.js";
import { SessionService } from "#internal/gen/tesseract/v1/session_service_pb.js";
import { TableService } from "#internal/gen/tesseract/v1/table_service_pb.js";
import { quiet } from "./live.js";
import { control } from "./stage.js";
import type { Staged } from "./stage.js";

interface Call {
  name: string;
  reason: string;
  method: string;
  request: string;
  address: string;
  token: string | null;
  error: object;
}

const SERVICES = [DiagnosisService, HubService, SessionService, TableService];

let server: Staged;
before(async () => {
  server = await control<Staged>("POST", "/servers");
});
after(() => control("DELETE", `/servers/${server.id}`));

test("error_reasons", { timeout: 180_000 }, async (suite) => {
  const { calls } = await control<{ calls: Call[] }>("POST", `/servers/${server.id}/errors`);
  assert.ok(new Set(calls.map((call) => call.reason)).size >= 40, `only ${calls.length} calls`);
  for (const call of calls) await suite.test(call.name, async () => assert.deepEqual(await refused(call), call.error));
});

/** Makes a call with exactly these bytes, and returns the error as the vectors write it. */
async function refused({ address, token, method, request }: Call): Promise<object> {
  const hub = connectNode(address, { ...(token !== null && { token }), retry: { attempts: 1 }, logger: quiet });
  try {
    const [, serviceName, methodName] = method.split("/");
    const service = SERVICES.find(({ typeName }) => typeName === serviceName)!;
    const known = service.methods.find(({ name }) => name === methodName) as DescMethodUnary;
    const client = hub.rpc.client(service) as unknown as Record<
      string,
      (message: Message, options: object) => Promise<Message>
    >;
    await hub.rpc.call((options) => client[known.localName]!(raw(known, Buffer.from(request, "base64")), options));
  } catch (error) {
    assert.ok(error instanceof TesseractError, String(error));
    return {
      code: error.code,
      reason: error.reason,
      message: error.message,
      field: error.field,
      hint: error.hint,
      resource: error.resource?.name ?? "",
      retry_after_ms: error.retryAfterMs ?? null,
      metadata: { ...error.metadata },
      row_errors: error.rowErrors,
      row_error_count: error.rowErrorCount,
    };
  } finally {
    hub.close();
  }
  throw new Error("the call was not refused");
}

/** The number of a field that is written without its number: what is in it is the whole message, whether or not it is one. */
const RAW = 536_870_911;
const tag = BinaryWriter.prototype.tag;
BinaryWriter.prototype.tag = function (this: BinaryWriter, no: number, type: WireType) {
  return no === RAW ? this : tag.call(this, no, type);
};

function raw({ input }: DescMethodUnary, data: Uint8Array): Message {
  const message = create(input);
  message.$unknown = [{ no: RAW, wireType: WireType.LengthDelimited, data }];
  return message;
}
