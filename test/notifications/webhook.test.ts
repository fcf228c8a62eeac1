import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, BlockList } from "node:net";
import { buffer } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { describe, expect, onTestFinished, test } from "vitest";
import { createWebhookChannel } from "../../src/notifications/webhook.ts";
import { webhookBody, webhookEvent } from "../../src/notifications/webhookEvent.ts";
import { selfSigned } from "../carriers/selfSigned.ts";
import { serve, serveBytes, serveRaw } from "../carriers/servers.ts";
import { messageTo, newsOf, SECRET } from "./webhookMessage.ts";

const OTHER_SECRET = `whsec_${Buffer.alloc(32, 8).toString("base64")}`;
const NEVER = new AbortController().signal;

function networks(...list: readonly (readonly [string, number])[]): BlockList {
  const allowed = new BlockList();
  for (const [start, bits] of list)
    allowed.addSubnet(start, bits, start.includes(":") ? "ipv6" : "ipv4");
  return allowed;
}
const LOOPBACK = networks(["127.0.0.0", 8]);

function channel(options: Partial<Parameters<typeof createWebhookChannel>[0]> = {}) {
  const made = createWebhookChannel({ allowedNetworks: LOOPBACK, ...options });
  onTestFinished(() => made.close());
  return made;
}

/** What arrived at a receiver that answers everything with 204. */
async function receiver() {
  const received: { headers: IncomingHttpHeaders; bytes: Buffer }[] = [];
  const url = await serve(async (request, response) => {
    received.push({ headers: request.headers, bytes: await buffer(request) });
    response.writeHead(204).end();
  });
  return { url, received };
}

const verify = (secret: string, headers: IncomingHttpHeaders, bytes: Buffer) =>
  new Webhook(secret).verify(bytes, headers as Record<string, string>);

describe("a message", () => {
  test("is verified by the Standard Webhooks library from its raw bytes, and has the documented shape", async () => {
    const { url, received } = await receiver();
    const message = messageTo(`${url}/hooks?a=b`);
    expect(await channel().send(message, NEVER)).toEqual({ outcome: "sent", providerId: null });
    const [{ headers, bytes } = { headers: {}, bytes: Buffer.of() }] = received;
    expect(headers["webhook-id"]).toBe(message.id);
    expect(webhookEvent.parse(verify(SECRET, headers, bytes))).toMatchObject({
      type: "book.status_changed",
      timestamp: "2026-11-20T10:20:00.123Z",
      data: {
        user: { appUserId: "u-5" },
        books: [{ appBookId: "b-2" }],
        status: "in_transit",
        occurredAt: "2026-11-20T09:15:00.000Z",
      },
    });
    expect(() => verify(OTHER_SECRET, headers, bytes)).toThrow();
    const tampered = Buffer.from(bytes);
    tampered[tampered.length - 2] = 0x20;
    expect(() => verify(SECRET, headers, tampered)).toThrow();
  });

  test("is signed with both secrets while a rotation overlaps, and not with a third", async () => {
    const { url, received } = await receiver();
    const message = messageTo(url);
    const secrets = [OTHER_SECRET, SECRET];
    const endpoint = message.endpoint && { ...message.endpoint, secrets };
    await channel().send({ ...message, endpoint }, NEVER);
    const [{ headers, bytes } = { headers: {}, bytes: Buffer.of() }] = received;
    for (const secret of secrets) expect(() => verify(secret, headers, bytes)).not.toThrow();
    const third = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
    expect(() => verify(third, headers, bytes)).toThrow();
  });

  test("has the same id and bytes again after a redrive, though the delivery is dated anew", async () => {
    const before = messageTo("http://127.0.0.1");
    const after = { ...before, createdAt: "2026-11-24T00:00:00+00:00" };
    expect(webhookBody(after)).toBe(webhookBody(before));
  });

  test("of hundreds of books stays under 20 kB, and counts those it leaves out", () => {
    const title = "Ж".repeat(500);
    const news = Array.from({ length: 300 }, (_, i) =>
      newsOf(i, { book: { id: newsOf(i).book.id, appBookId: null, title, author: null } }),
    );
    const body = webhookBody(messageTo("http://127.0.0.1", { news }));
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(20_000);
    const event = webhookEvent.parse(JSON.parse(body));
    if (event.type === "bookpost.test") throw new Error("it is news");
    expect(event.data.books.length).toBeGreaterThan(10);
    expect(event.data.books.length + event.data.moreBooks).toBe(300);
  });

  test.each([
    ["action_required", "book.action_required"],
    ["estimate", "book.estimate_changed"],
  ] as const)("of the kind %s has the type %s", (kind, type) => {
    const news = [newsOf(2, { kind, estimatedUntil: "2026-11-25T18:00:00" })];
    const event = webhookEvent.parse(JSON.parse(webhookBody(messageTo("", { news }))));
    expect(event).toMatchObject({ type, data: { estimate: { until: "2026-11-25T18:00:00" } } });
  });

  test("that is a test says so, to an endpoint of nobody too", () => {
    const body = webhookBody(messageTo("", { kind: "test", person: null, news: [] }));
    expect(webhookEvent.parse(JSON.parse(body))).toMatchObject({
      type: "bookpost.test",
      data: { user: null },
    });
  });
});

test.each([
  [200, "sent"],
  [202, "sent"],
  [204, "sent"],
  [301, "deferred"],
  [304, "deferred"],
  [307, "deferred"],
  [400, "deferred"],
  [401, "deferred"],
  [404, "deferred"],
  [408, "deferred"],
  [410, "gone"],
  [429, "rate_limited"],
  [500, "unavailable"],
  [503, "unavailable"],
])("an answer of %i is taken for %s", async (status, outcome) => {
  const url = await serve((_, response) => response.writeHead(status).end());
  expect(await channel().send(messageTo(url), NEVER)).toMatchObject({ outcome });
});

test.each([429, 503])("what Retry-After asks of %i is told, a day at most", async (status) => {
  const ask = async (seconds: string) => {
    const url = await serve((_, response) =>
      response.writeHead(status, { "retry-after": seconds }).end(),
    );
    return channel().send(messageTo(url), NEVER);
  };
  expect(await ask("120")).toMatchObject({ retryAfterMs: 120_000 });
  expect(await ask("99999999")).toMatchObject({ retryAfterMs: 86_400_000 });
  expect(await ask("soon")).toMatchObject({ retryAfterMs: null });
});

test("a redirect is not followed", async () => {
  const { url: elsewhere, received } = await receiver();
  const url = await serve((_, response) => response.writeHead(307, { location: elsewhere }).end());
  const result = await channel().send(messageTo(url), NEVER);
  expect(result).toMatchObject({ outcome: "deferred" });
  expect(received).toEqual([]);
});

describe("an endpoint", () => {
  const limits = { connectTimeoutMs: 500, totalTimeoutMs: 300 };

  test("that never answers is unavailable", async () => {
    const url = await serve(() => {});
    const result = await channel({ limits }).send(messageTo(url), NEVER);
    expect(result).toMatchObject({ outcome: "unavailable" });
  });

  test("that says yes and then sends without end has said yes, and is cut off", async () => {
    const { promise: cutOff, resolve } = Promise.withResolvers<void>();
    const url = await serve((_, response) => {
      response.on("close", resolve);
      const more = () => {
        while (response.write(Buffer.alloc(16_384)));
      };
      response.writeHead(200).on("drain", more);
      more();
    });
    // Longer than a test may take: it is the amount that cuts it off.
    const patient = { connectTimeoutMs: 500, totalTimeoutMs: 120_000 };
    const result = await channel({ limits: patient }).send(messageTo(url), NEVER);
    expect(result).toMatchObject({ outcome: "sent" });
    await cutOff;
  });

  test("that hangs up before it has answered is unavailable", async () => {
    const url = await serveRaw((socket) => socket.destroy());
    expect(await channel().send(messageTo(url), NEVER)).toMatchObject({ outcome: "unavailable" });
  });

  test("that does not speak HTTP is unavailable, and its words are not repeated", async () => {
    const url = await serveBytes("220 mail.internal ESMTP secret\r\n");
    const result = await channel().send(messageTo(url), NEVER);
    expect(result).toMatchObject({ outcome: "unavailable" });
    expect(JSON.stringify(result)).not.toContain("internal");
  });

  test("that is not there is unavailable", async () => {
    const result = await channel().send(messageTo("http://127.0.0.1:1"), NEVER);
    expect(result).toMatchObject({ outcome: "unavailable" });
  });

  test("whose certificate nobody vouches for is unavailable, and gets nothing", async () => {
    let requests = 0;
    const server = createTlsServer(selfSigned(), () => {
      requests += 1;
    });
    server.listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const result = await channel().send(messageTo(`https://127.0.0.1:${port}`), NEVER);
    expect(result).toMatchObject({ outcome: "unavailable" });
    expect(requests).toBe(0);
  });

  test("without a secret waits for a person", async () => {
    const message = messageTo("http://127.0.0.1:1");
    const endpoint = message.endpoint && { ...message.endpoint, secrets: null };
    const result = await channel().send({ ...message, endpoint }, NEVER);
    expect(result).toMatchObject({ outcome: "misconfigured" });
  });

  test("is left at once when the worker stops, and that is our trouble", async () => {
    const stop = new AbortController();
    const url = await serve(() => stop.abort());
    expect(await channel().send(messageTo(url), stop.signal)).toMatchObject({ outcome: "local" });
  });

  test.each([
    ["ENOTFOUND", "unavailable"],
    ["EAI_AGAIN", "local"],
  ])("whose name ends in %s: %s", async (code, outcome) => {
    const result = await channel({
      lookup: (_, __, callback) => callback(Object.assign(new Error(code), { code }), []),
    }).send(messageTo("https://hooks.example/"), NEVER);
    expect(result).toMatchObject({ outcome });
  });
});

describe("the guard", () => {
  const NOWHERE = networks();
  /** A resolver that says what it is told to. */
  const lying =
    (...addresses: readonly string[]) =>
    (_: string, __: unknown, callback: (error: null, found: LookupAddress[]) => void) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
      );
  const INSIDE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "2002:7f00:1::1",
    "fe80::1",
    "fd00::1",
  ];

  test.each([
    ...INSIDE.map((address) => `https://${address.includes(":") ? `[${address}]` : address}/`),
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1:8443/",
    "https://localhost/",
    "https://127\r\n.0.0.1/",
    "https://１２７.0.0.1/",
    "http://93.184.216.34/",
    "http://hooks.example/",
    "ftp://hooks.example/",
    "https://user:password@127.0.0.1/",
    "no address",
  ])("refuses %j before anything is sent", async (url) => {
    const result = await channel({ allowedNetworks: NOWHERE }).send(messageTo(url), NEVER);
    expect(result).toMatchObject({ outcome: "refused" });
  });

  test.each([...INSIDE, "fe80::1%eth0"])("refuses a name that leads to %s", async (address) => {
    const result = await channel({ allowedNetworks: NOWHERE, lookup: lying(address) }).send(
      messageTo("https://hooks.example/"),
      NEVER,
    );
    expect(result).toMatchObject({
      outcome: "refused",
      error: expect.stringContaining("WEBHOOK_ALLOWED_NETWORKS"),
    });
    expect(JSON.stringify(result)).not.toContain(address === "::" ? "[::]" : address);
  });

  test("connects to the allowed address alone where a name has others as well, and asks anew each time", async () => {
    const { url, received } = await receiver();
    const { port } = new URL(url);
    const answers = [["10.0.0.1", "127.0.0.1"], ["10.0.0.1"]];
    const made = channel({
      lookup: (name, options, callback) =>
        lying(...(answers.shift() ?? []))(name, options, callback),
    });
    const message = messageTo(`http://hooks.example:${port}/`);
    expect(await made.send(message, NEVER)).toMatchObject({ outcome: "sent" });
    expect(await made.send(message, NEVER)).toMatchObject({ outcome: "refused" });
    expect(received).toHaveLength(1);
  });

  test("lets http reach an allowed network only, by name and by address", async () => {
    const allowedNetworks = networks(["10.0.0.0", 8]);
    for (const url of ["http://127.0.0.1:1/", "http://93.184.216.34/"])
      expect(await channel({ allowedNetworks }).send(messageTo(url), NEVER)).toMatchObject({
        outcome: "refused",
      });
    const made = channel({ allowedNetworks, lookup: lying("93.184.216.34") });
    expect(await made.send(messageTo("http://hooks.example/"), NEVER)).toMatchObject({
      outcome: "refused",
      error: expect.stringContaining("use https"),
    });
  });
});
