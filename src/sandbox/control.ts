import { z } from "zod";
import { faultSchema } from "./fault.ts";
import { limitSchema } from "./limit.ts";
import type { Sandbox } from "./sandbox.ts";
import { scenarioSchema } from "./scenario.ts";
import type { WireReply } from "./wire.ts";

const number = z.string().min(1);

/** `POST /_sandbox/<name>` → what its body must be and what it does. */
const COMMANDS = {
  script: command(scenarioSchema.extend({ number }), (sandbox, { number, ...scenario }) =>
    sandbox.script(number, scenario),
  ),
  advance: command(
    z.strictObject({ number, count: z.int().min(1).default(1) }),
    (sandbox, { number, count }) => sandbox.advance(number, count),
  ),
  fault: command(faultSchema, (sandbox, fault) => sandbox.fault(fault)),
  clear_faults: command(z.unknown(), (sandbox) => sandbox.clearFaults()),
  limit: command(limitSchema, (sandbox, limit) => sandbox.limit(limit)),
  clear_limits: command(z.unknown(), (sandbox) => sandbox.clearLimits()),
  stop: command(z.strictObject({ number }), (sandbox, { number }) => sandbox.stop(number)),
  expire_tokens: command(z.unknown(), (sandbox) => sandbox.expireTokens()),
};

function command<T extends z.ZodType>(
  schema: T,
  run: (sandbox: Sandbox, input: z.output<T>) => void,
) {
  return (sandbox: Sandbox, body: unknown) => run(sandbox, schema.parse(body));
}

/**
 * The sandbox steered over HTTP by another process. `GET /_sandbox/log` gives
 * the request log, `GET /_sandbox/texts` the texts it took; each command answers `{}`, or 400 with what is wrong.
 */
export function answerControl(
  sandbox: Sandbox,
  request: { readonly method: string; readonly path: string; readonly body: string },
): WireReply {
  const name = request.path.replace("/_sandbox/", "");
  if (request.method === "GET" && name === "log") return { status: 200, body: sandbox.log };
  if (request.method === "GET" && name === "texts") return { status: 200, body: sandbox.texts };
  if (request.method !== "POST" || !Object.hasOwn(COMMANDS, name))
    return { status: 404, body: { error: `no command ${request.method} ${name}` } };
  try {
    const body: unknown = request.body === "" ? {} : JSON.parse(request.body);
    COMMANDS[name as keyof typeof COMMANDS](sandbox, body);
    return { status: 200, body: {} };
  } catch (error) {
    const message = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    return { status: 400, body: { error: message } };
  }
}
