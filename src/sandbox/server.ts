import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { aftership } from "./aftership.ts";
import { australia_post } from "./australia_post.ts";
import { canada_post } from "./canada_post.ts";
import { commitFault } from "./commitFault.ts";
import { answerControl } from "./control.ts";
import { dhl } from "./dhl.ts";
import { easypost } from "./easypost.ts";
import { createFaults } from "./fault.ts";
import { fedex } from "./fedex.ts";
import { la_poste } from "./la_poste.ts";
import { createLimits } from "./limit.ts";
import { pitney_bowes } from "./pitney_bowes.ts";
import { postnl } from "./postnl.ts";
import { createRequestLog } from "./requestLog.ts";
import { royal_mail } from "./royal_mail.ts";
import type { Sandbox } from "./sandbox.ts";
import { createScenarios, type Scenario } from "./scenario.ts";
import { send } from "./send.ts";
import { seventeen_track } from "./seventeen_track.ts";
import { shippo } from "./shippo.ts";
import { sns } from "./sns.ts";
import { createTokens } from "./tokens.ts";
import { twilio } from "./twilio.ts";
import { ups } from "./ups.ts";
import { usps } from "./usps.ts";
import type { Route, Text, TextWire, Wire, WireReply, WireRequest } from "./wire.ts";

const WIRES: readonly Wire[] = [
  ups,
  dhl,
  la_poste,
  postnl,
  easypost,
  shippo,
  aftership,
  seventeen_track,
  usps,
  fedex,
  pitney_bowes,
  royal_mail,
  canada_post,
  australia_post,
];

const TEXT_WIRES: readonly TextWire[] = [twilio, sns];

export type { Sandbox };

export interface SandboxOptions {
  /** 0, which is also the default: any that is free. */
  readonly port?: number;
  readonly scenarios?: Readonly<Record<string, Scenario>>;
  /** How long a token is good. Unless told otherwise as long as UPS's: 14399 s. */
  readonly tokenLifeMs?: number;
  /** Each ended exchange becomes a line of JSON here. */
  readonly logFile?: string;
}

/**
 * Starts a real HTTP server on this machine that speaks the carriers' wire
 * formats, all on one port. Rejects where the port is taken.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const scenarios = createScenarios();
  for (const [number, scenario] of Object.entries(options.scenarios ?? {}))
    scenarios.script(number, scenario);
  const faults = createFaults();
  const limits = createLimits();
  const log = createRequestLog(options.logFile);
  const tokens = createTokens(options.tokenLifeMs ?? 14_399_000);
  const registered = new Set<string>();
  const texts: Text[] = [];
  const stopped = new Set<string>();

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch((error: unknown) => {
      if (!response.headersSent) send(response, { status: 500, body: { error: String(error) } });
      else response.destroy();
    });
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request: WireRequest = {
      method: incoming.method ?? "GET",
      url: new URL(incoming.url ?? "/", origin),
      headers: incoming.headers as Record<string, string | undefined>,
      body: await text(incoming),
    };
    const path = request.url.pathname;
    if (path === "/_sandbox/trap") {
      log.record({ api: "trap", kind: "trap", number: null }, response);
      return send(response, { status: 200, body: "nobody should follow a redirect to here" });
    }
    if (path.startsWith("/_sandbox/"))
      return send(response, answerControl(sandbox, { ...request, path }));
    for (const wire of WIRES) {
      const route = wire.route(request);
      if (route === null) continue;
      const { number, numbers = number === null ? [] : [number] } = route;
      const context = { number, numbers, show: scenarios.show, tokens, registered };
      return answer(wire, route, () => wire.answer(request, context), response);
    }
    for (const wire of TEXT_WIRES) {
      const { api } = wire;
      const route = wire.route(request);
      if (route === null) continue;
      const context = {
        take: (text: Omit<Text, "api">) => void texts.push({ api, ...text }),
        isStopped: (number: string) => stopped.has(number),
      };
      return answer(wire, route, () => wire.answer(request, context), response);
    }
    send(response, { status: 404, body: { error: `nothing at ${path}` } });
  }

  async function answer(
    wire: Pick<Wire, "api" | "error">,
    route: Route,
    reply: () => WireReply,
    response: ServerResponse,
  ): Promise<void> {
    const { api, error } = wire;
    const entry = log.record({ api, ...route }, response);
    const broken = limits.brokenBy(log.entries);
    if (broken !== null) {
      entry.over = broken.kind;
      entry.retryAfter = broken.retryAfter ?? null;
      return send(response, error(429), broken);
    }
    const fault = faults.take({ api, ...route });
    if (fault === null) return send(response, reply());
    entry.fault = fault.mode;
    entry.retryAfter = (fault.mode === "status" && fault.retryAfter) || null;
    const trap = `${origin}/_sandbox/trap`;
    // A request that was refused has had no effect; all the other ways to go wrong come after it.
    const refused = fault.mode === "status" || fault.mode === "reset";
    await commitFault({
      response,
      reply: refused ? error(fault.status) : reply(),
      fault,
      error,
      trap,
    });
  }

  function wireOf(api: string): Wire | TextWire {
    const wire = [...WIRES, ...TEXT_WIRES].find((candidate) => candidate.api === api);
    if (wire === undefined) throw new Error(`The sandbox does not speak "${api}".`);
    return wire;
  }

  const sandbox: Sandbox = {
    port,
    apis: WIRES.map(({ api }) => api),
    url: (api) => origin + wireOf(api).basePath,
    credentials: (api) => wireOf(api).credentials,
    script: scenarios.script,
    advance(number, count) {
      if (!scenarios.advance(number, count))
        throw new Error(`"${number}" is not scripted; script it first.`);
    },
    fault: faults.add,
    clearFaults: faults.clear,
    limit(limit) {
      wireOf(limit.api);
      limits.add(limit);
    },
    clearLimits: limits.clear,
    expireTokens: tokens.expireAll,
    textEnvironment(api) {
      const wire = TEXT_WIRES.find((candidate) => candidate.api === api);
      if (wire === undefined) throw new Error(`The sandbox sends no texts as "${api}".`);
      return wire.environment(origin + wire.basePath);
    },
    texts,
    stop: (number) => void stopped.add(number),
    log: log.entries,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return sandbox;
}
