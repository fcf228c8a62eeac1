import { createServer as createTlsServer } from "node:https";
import { describe, expect, onTestFinished, test } from "vitest";
import { HTTP_LIMITS } from "../../src/carriers/http.ts";
import { adapters } from "../../src/carriers/registry.ts";
import { readFixtures } from "./readFixtures.ts";
import { selfSigned } from "./selfSigned.ts";
import { listen, serve, serveRaw } from "./servers.ts";
import { clientAt } from "./withSandbox.ts";

// What a carrier's host may send on purpose, or after somebody has taken it over. What it does by
// mistake is told in transport.test.ts.

const NUMBER = "00340434161094042557";

/** Deadlines a test can wait for. */
const SHORT = { limits: { connectTimeoutMs: 200, totalTimeoutMs: 300 } };

const OK = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/** A piece now and another every 10 ms until the client has gone. */
function drip(first: string, piece: string): Promise<string> {
  return serveRaw((socket) => {
    socket.write(first);
    const timer = setInterval(() => socket.write(piece), 10);
    socket.once("close", () => clearInterval(timer));
  });
}

test.each([
  ["headers that never end", () => drip(`${OK}x: y`, "y")],
  ["headers that never begin", () => serveRaw(() => {})],
  ["one interim answer after another", () => drip("", "HTTP/1.1 103 Early Hints\r\n\r\n")],
  [
    "a body that stops half-way",
    () => serveRaw((socket) => socket.write(`${OK}content-length: 9\r\n\r\n{`)),
  ],
  ["a body that drips for ever", () => drip(`${OK}\r\n{`, " ")],
])("%s: the total deadline ends it, as the carrier's trouble", async (_, start) => {
  expect(await clientAt(await start(), "dhl", SHORT).lookUp(NUMBER)).toMatchObject({
    error: { outcome: "unavailable", code: "TIMEOUT" },
    calls: [{ kind: "lookup" }],
  });
});

test("of a gigabyte that is announced no more is taken than the limit and what was in the pipes", async () => {
  const piece = Buffer.alloc(64 * 1024, " ");
  let sent = 0;
  const base = await serve((_, response) => {
    response.writeHead(200, { "content-length": 1_000_000_000 });
    const more = () => {
      while (!response.destroyed && sent < 1_000_000_000) {
        sent += piece.length;
        if (!response.write(piece)) return;
      }
    };
    response.on("drain", more);
    more();
  });
  expect(await clientAt(base, "dhl").lookUp(NUMBER)).toMatchObject({
    error: { outcome: "malformed", code: "TOO_LARGE" },
    body: null,
  });
  // Both kernels' buffers grow to some megabytes; all of it would be a hundred times that.
  expect(sent).toBeLessThan(HTTP_LIMITS.maxBodyBytes * 8);
});

test("to a host with a certificate that nobody vouches for nothing is sent", async () => {
  let requests = 0;
  const server = createTlsServer(selfSigned(), (_, response) => {
    requests += 1;
    response.end("{}");
  });
  onTestFinished(() => server.closeAllConnections());
  const client = clientAt(`https://127.0.0.1:${await listen(server)}`, "dhl");
  expect(await client.lookUp(NUMBER)).toMatchObject({
    error: { outcome: "unavailable", code: "DEPTH_ZERO_SELF_SIGNED_CERT" },
    calls: [{ kind: "lookup", httpStatus: null }],
  });
  expect(requests).toBe(0);
});

describe("a redirect is followed nowhere", () => {
  const places = [
    ["to this machine", (trap: string) => trap],
    ["to the same host", () => "/elsewhere"],
    [
      "to a cloud's metadata",
      () => "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    ],
    ["to a host of another scheme", (trap: string) => trap.replace("http:", "")],
    ["to a file", () => "file:///etc/passwd"],
    ["to nowhere", () => "http://"],
  ] as const;
  const statuses = [301, 302, 303, 307, 308];

  test.each(places)("%s", async (_, place) => {
    let trapped = 0;
    const trap = await serve((_request, response) => {
      trapped += 1;
      response.end("secret");
    });
    let asked = 0;
    const base = await serve((_request, response) => {
      const status = statuses[asked++];
      response.writeHead(status ?? 500, { location: place(trap) }).end();
    });
    const client = clientAt(base, "dhl");
    for (const status of statuses)
      expect(await client.lookUp(NUMBER)).toMatchObject({
        error: { outcome: "malformed", code: `HTTP_${status}` },
        calls: [{ httpStatus: status }],
      });
    expect({ asked, trapped }).toEqual({ asked: statuses.length, trapped: 0 });
  });

  test("with our credentials neither", async () => {
    let trapped = 0;
    const trap = await serve((_, response) => {
      trapped += 1;
      response.end();
    });
    const base = await serve((_, response) => response.writeHead(307, { location: trap }).end());
    expect(await clientAt(base, "ups").lookUp("1Z999AA10123456784")).toMatchObject({
      error: { outcome: "malformed" },
      calls: [{ kind: "token", httpStatus: 307 }],
    });
    expect(trapped).toBe(0);
  });
});

/** The "billion laughs": nine lines that would be a gigabyte. */
function growingEntity(): string {
  const lines = Array.from(
    { length: 9 },
    (_, i) => `<!ENTITY a${i + 1} "${`&a${i};`.repeat(10)}">`,
  );
  return `<!DOCTYPE a [<!ENTITY a0 "ha">${lines.join("")}]><a>&a9;</a>`;
}

const FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>';

describe.each(adapters.map(({ code, format }) => ({ code, format })))(
  "$code",
  ({ code, format }) => {
    const { carrierCode = code } = readFixtures(code)[0]?.subject ?? {};
    const TOKEN = JSON.stringify({ access_token: "t0ken-t0ken", expires_in: 60 });

    /** Who answers every lookup with this, and every token request with a token. */
    function answering(body: string | Buffer, contentType: string): Promise<string> {
      return serve((request, response) => {
        const isToken = /token/.test(request.url ?? "") && request.method === "POST";
        response
          .writeHead(200, { "content-type": isToken ? "application/json" : contentType })
          .end(isToken ? TOKEN : body);
      });
    }

    const DEEP = 200_000;
    test.each([
      [
        "brackets two hundred thousand deep",
        "[".repeat(DEEP) + "]".repeat(DEEP),
        "application/json",
      ],
      [
        "objects two hundred thousand deep",
        `${'{"a":'.repeat(DEEP)}1${"}".repeat(DEEP)}`,
        "application/json",
      ],
      ["elements two hundred thousand deep", "<a>".repeat(DEEP) + "</a>".repeat(DEEP), "text/xml"],
      [
        "a prototype for our objects",
        '{"__proto__":{"polluted":1},"constructor":{}}',
        "application/json",
      ],
      ["nothing but NUL", "\0".repeat(9_999), "application/json"],
      ["a picture", Buffer.from("89504e470d0a1a0a0000000d", "hex"), "image/png"],
      ["UTF-16 that does not say so", Buffer.from('\ufeff{"a":1}', "utf16le"), "application/json"],
      ["nothing but a byte order mark", "\ufeff", "application/json"],
      ["an entity that grows", growingEntity(), "application/xml"],
      ["an entity that reads our files", FILE, "application/xml"],
    ])("%s is malformed", async (_, body, contentType) => {
      const client = clientAt(await answering(body, contentType), code);
      const result = await client.lookUp(NUMBER, { carrierCode });
      expect(result).toMatchObject({ kind: "failed", error: { outcome: "malformed" } });
      expect(JSON.stringify(result)).not.toMatch(/\\u0000|root:/);
      expect({}).not.toHaveProperty("polluted");
      // Refused before a word of it is believed.
      if (format === "xml" && contentType.endsWith("xml"))
        expect(result).toMatchObject({ error: { code: "NOT_XML" } });
    });
  },
);

describe("a carrier that asks us to wait", () => {
  const NOW = new Date("2025-09-01T12:00:00Z");
  // Its clock is an hour behind ours.
  const DATE = "Mon, 01 Sep 2025 11:00:00 GMT";
  test.each([
    ["120", DATE, 120],
    ["Mon, 01 Sep 2025 11:02:00 GMT", DATE, 120],
    ["Mon, 01 Sep 2025 12:02:00 GMT", null, null],
    ["Mon, 01 Sep 2025 10:00:00 GMT", DATE, 1],
    ["Fri, 01 Jan 2100 00:00:00 GMT", DATE, 86_400],
    ["-1", DATE, null],
    ["soon", DATE, null],
  ])(
    "%j beside the Date %j is a wait of %s s, and no failure of its own",
    async (text, date, seconds) => {
      const base = await serve((_, response) => {
        response.sendDate = false;
        if (date !== null) response.setHeader("date", date);
        response.writeHead(429, { "retry-after": text }).end();
      });
      const result = await clientAt(base, "dhl", { now: () => NOW }).lookUp(NUMBER);
      if (result.kind === "found") throw new Error("found");
      const { outcome, retryAt } = result.error;
      expect(outcome).toBe("rate_limited");
      expect(retryAt && (retryAt.getTime() - NOW.getTime()) / 1_000).toBe(seconds);
    },
  );
});
