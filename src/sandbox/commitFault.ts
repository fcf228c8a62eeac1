import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { createGzip } from "node:zlib";
import type { Fault } from "./fault.ts";
import { bodyText, send } from "./send.ts";
import type { WireReply } from "./wire.ts";

const MEGABYTE = 1024 * 1024;

interface Exchange {
  readonly response: ServerResponse;
  /** What would have been said without the fault. */
  readonly reply: WireReply;
  readonly fault: Fault;
  /** An error in the API's own words. */
  readonly error: (status: number, code?: string) => WireReply;
  /** Where a redirect leads: a page of ours that logs each visit. */
  readonly trap: string;
}

/** How to go wrong. Each is one way a carrier has been seen, or can be imagined, to fail. */
const MODES: Readonly<Record<Fault["mode"], (exchange: Exchange) => unknown>> = {
  /** An HTTP error with the API's own body; `status` and `retryAfter` say which. */
  status: ({ response, fault, error }) => send(response, error(fault.status, fault.code), fault),
  error_inside_200: ({ response, error }) => send(response, { ...error(500), status: 200 }),
  html: ({ response }) =>
    send(response, {
      status: 200,
      headers: { "content-type": "text/html" },
      body: "<!doctype html><title>Sign in</title><p>Please sign in.</p>",
    }),
  wrong_shape: ({ response }) => send(response, { status: 200, body: { hello: ["world"] } }),
  broken_json: ({ response, reply }) =>
    send(response, { status: 200, body: bodyText(reply).slice(0, -2) }),
  empty: ({ response }) => send(response, { status: 200, body: "" }),
  redirect: ({ response, trap }) =>
    send(response, { status: 302, headers: { location: trap }, body: "" }),
  /** The right answer, `ms` late. */
  slow: async ({ response, reply, fault }) => {
    await sleep(fault.ms);
    send(response, reply);
  },
  /** Takes the request and says nothing, ever. */
  hang: () => {},
  /** The right answer, a byte each `ms`. */
  trickle: ({ response, reply, fault }) =>
    stream(response, {}, async function* () {
      for (const byte of Buffer.from(bodyText(reply))) {
        yield Buffer.of(byte);
        await sleep(fault.ms);
      }
    }),
  endless: ({ response }) =>
    stream(response, {}, async function* () {
      for (;;) yield Buffer.alloc(64 * 1024, " ");
    }),
  /** About a quarter of a megabyte on the wire, a quarter of a gigabyte once opened. */
  gzip_bomb: ({ response }) =>
    stream(response, { "content-encoding": "gzip" }, () =>
      Readable.from(
        (function* () {
          for (let i = 0; i < 256; i++) yield Buffer.alloc(MEGABYTE, " ");
        })(),
      ).pipe(createGzip({ level: 9 })),
    ),
  /** Promises a whole answer, sends half and hangs up. */
  truncated: ({ response, reply }) => {
    const body = Buffer.from(bodyText(reply));
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
    response.write(body.subarray(0, body.length / 2), () => response.destroy());
  },
  /** Hangs up the hard way before a word is said. */
  reset: ({ response }) => response.socket?.resetAndDestroy(),
};

/** Makes one exchange go wrong. Resolves when no more will be sent, or at once where nothing ever will be. */
export async function commitFault(exchange: Exchange): Promise<void> {
  await MODES[exchange.fault.mode](exchange);
}

/** Streams as fast as the client reads; a client that leaves ends it. */
async function stream(
  response: ServerResponse,
  headers: Record<string, string>,
  source: () => AsyncIterable<Buffer>,
): Promise<void> {
  response.writeHead(200, { "content-type": "application/json", ...headers });
  await pipeline(source(), response).catch(() => {});
}
