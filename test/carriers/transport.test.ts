import { createServer as createTcpServer } from "node:net";
import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { createCarrierClient } from "../../src/carriers/client.ts";
import { dhl } from "../../src/carriers/dhl.ts";
import { adapters } from "../../src/carriers/registry.ts";
import { Secret } from "../../src/secret.ts";
import { readFixtures } from "./readFixtures.ts";
import { listen, serve, serveBytes } from "./servers.ts";
import { clientAt, clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "00340434161094042557";

const PARCEL = {
  steps: [
    { stage: "in_transit", at: "2025-03-04T02:05:09+01:00" },
    { stage: "delivered", at: "2025-03-05T11:20:00+01:00" },
  ],
  shown: 2,
} as const;

/** Where an API's own error code says more than its HTTP status does. */
const OTHERWISE: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  la_poste: { 400: "not_found" },
};

/** Deadlines a test can wait for. */
const SHORT = { limits: { connectTimeoutMs: 200, totalTimeoutMs: 300 } };

describe.each(adapters.map(({ code }) => code))("%s", (code) => {
  // An aggregator has to be told whose parcel it is.
  const { carrierCode = code } = readFixtures(code)[0]?.subject ?? {};

  test("a scripted parcel is found over HTTP, and each request is a call", async () => {
    const sandbox = await withSandbox({ scenarios: { [NUMBER]: PARCEL } });
    const result = await clientOf(sandbox, code).lookUp(NUMBER, { carrierCode });
    expect(result).toMatchObject({ kind: "found", tracking: { status: "delivered" } });
    expect(result.calls.map(({ kind, httpStatus }) => ({ kind, status: httpStatus }))).toEqual(
      sandbox.log.map(({ kind, status }) => ({ kind, status })),
    );
    expect(result.body).toContain(NUMBER);
  });

  test("a number nobody knows is not found", async () => {
    const sandbox = await withSandbox();
    const result = await clientOf(sandbox, code).lookUp(NUMBER, { carrierCode });
    expect(result).toMatchObject({ kind: "failed", error: { outcome: "not_found" } });
  });

  test.each([
    [{ mode: "status", status: 500 }, "unavailable"],
    [{ mode: "status", status: 503 }, "unavailable"],
    [{ mode: "status", status: 408 }, "unavailable"],
    [{ mode: "status", status: 429 }, "rate_limited"],
    [{ mode: "status", status: 401 }, "rejected"],
    [{ mode: "status", status: 403 }, "rejected"],
    [{ mode: "status", status: 400 }, "rejected"],
    [{ mode: "status", status: 404 }, "not_found"],
    [{ mode: "status", status: 304 }, "malformed"],
    [{ mode: "redirect" }, "malformed"],
    [{ mode: "error_inside_200" }, "malformed"],
    [{ mode: "html" }, "malformed"],
    [{ mode: "wrong_shape" }, "malformed"],
    [{ mode: "broken_json" }, "malformed"],
    [{ mode: "empty" }, "malformed"],
    [{ mode: "endless" }, "malformed"],
    [{ mode: "gzip_bomb" }, "malformed"],
    [{ mode: "truncated" }, "unavailable"],
    [{ mode: "reset" }, "unavailable"],
  ] as const)("the fault %j makes the lookup %s", async (fault, outcome) => {
    const sandbox = await withSandbox({ scenarios: { [NUMBER]: PARCEL } });
    sandbox.fault({ ...fault, kind: "lookup" });
    const result = await clientOf(sandbox, code).lookUp(NUMBER, { carrierCode });
    const meant = ("status" in fault && OTHERWISE[code]?.[fault.status]) || outcome;
    expect(result).toMatchObject({ kind: "failed", error: { outcome: meant } });
    // Whatever it was, nobody followed it anywhere.
    expect(sandbox.log.map(({ kind }) => kind)).not.toContain("trap");
  });

  test.each(["hang", "trickle"] as const)("a %s ends at the total deadline", async (mode) => {
    const sandbox = await withSandbox({ scenarios: { [NUMBER]: PARCEL } });
    sandbox.fault({ mode, kind: "lookup", ms: 20 });
    const result = await clientOf(sandbox, code, SHORT).lookUp(NUMBER, { carrierCode });
    expect(result).toMatchObject({
      kind: "failed",
      error: { outcome: "unavailable", code: "TIMEOUT" },
    });
    expect(result.calls.at(-1)).toMatchObject({ kind: "lookup" });
  });

  test("after a fault the next lookup is answered", async () => {
    const sandbox = await withSandbox({ scenarios: { [NUMBER]: PARCEL } });
    const client = clientOf(sandbox, code);
    sandbox.fault({ mode: "reset", kind: "lookup", times: 1 });
    expect((await client.lookUp(NUMBER, { carrierCode })).kind).toBe("failed");
    expect((await client.lookUp(NUMBER, { carrierCode })).kind).toBe("found");
  });
});

test("what the carrier said to a failure is kept, even where its body never ends", async () => {
  const base = await serve((_, response) => {
    response.writeHead(503, { "retry-after": "120", "content-type": "text/html" });
    response.write("<h1>maintenance</h1>");
  });
  const result = await clientAt(base, "dhl", SHORT).lookUp(NUMBER);
  expect(result).toMatchObject({
    kind: "failed",
    error: { outcome: "unavailable", code: "HTTP_503" },
    body: "<h1>maintenance</h1>",
  });
  if (result.kind === "failed") expect(result.error.retryAt).toBeInstanceOf(Date);
});

test("Retry-After of a throttle is counted from the answer", async () => {
  const sandbox = await withSandbox();
  sandbox.fault({ mode: "status", status: 429, retryAfter: "120" });
  const now = () => new Date("2025-09-01T12:00:00Z");
  const result = await clientOf(sandbox, "dhl", { now }).lookUp(NUMBER);
  expect(result).toMatchObject({
    error: { outcome: "rate_limited", retryAt: new Date("2025-09-01T12:02:00Z") },
    calls: [{ httpStatus: 429, startedAt: now() }],
  });
});

test("the limit of the body is on both sides of the decompression", async () => {
  const sandbox = await withSandbox();
  const client = clientOf(sandbox, "dhl");
  for (const mode of ["endless", "gzip_bomb"] as const) {
    sandbox.clearFaults();
    sandbox.fault({ mode });
    expect(await client.lookUp(NUMBER)).toMatchObject({ error: { code: "TOO_LARGE" }, body: null });
  }
});

test("our own stop is nobody's failure", async () => {
  const sandbox = await withSandbox();
  sandbox.fault({ mode: "hang" });
  const client = clientOf(sandbox, "dhl");
  const controller = new AbortController();
  const lookup = client.lookUp(NUMBER, { signal: controller.signal });
  controller.abort();
  expect(await lookup).toMatchObject({
    kind: "failed",
    error: { outcome: "local", code: "ABORTED" },
  });
  const late = await client.lookUp(NUMBER, { signal: controller.signal });
  expect(late).toMatchObject({ error: { outcome: "local", code: "ABORTED" }, calls: [] });
});

test("closing the client breaks off what is under way, as our own doing", async () => {
  const sandbox = await withSandbox();
  sandbox.fault({ mode: "hang" });
  const client = clientOf(sandbox, "dhl");
  const lookup = client.lookUp(NUMBER);
  await client.close();
  expect(await lookup).toMatchObject({ kind: "failed", error: { outcome: "local" } });
  expect(await client.lookUp(NUMBER)).toMatchObject({ error: { outcome: "local" } });
});

test("a closed port is the carrier's trouble", async () => {
  const sandbox = await withSandbox();
  const client = clientOf(sandbox, "dhl");
  await sandbox.close();
  expect(await client.lookUp(NUMBER)).toMatchObject({
    error: { outcome: "unavailable", code: "ECONNREFUSED" },
    calls: [{ kind: "lookup", httpStatus: null }],
    body: null,
  });
});

test("a name that does not resolve is our trouble", async () => {
  const client = clientAt("https://carrier.invalid/track", "dhl");
  expect(await client.lookUp(NUMBER)).toMatchObject({
    error: { outcome: "local", code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) },
  });
});

test("a server that does not speak TLS is the carrier's trouble", async () => {
  const sandbox = await withSandbox();
  const client = clientAt(sandbox.url("dhl").replace("http:", "https:"), "dhl");
  expect(await client.lookUp(NUMBER)).toMatchObject({ error: { outcome: "unavailable" } });
});

test("a connection that is never made up ends at the connect deadline", async () => {
  const port = await listen(createTcpServer());
  const client = clientAt(`https://127.0.0.1:${port}`, "dhl", {
    limits: { connectTimeoutMs: 100, totalTimeoutMs: 60_000 },
  });
  expect(await client.lookUp(NUMBER)).toMatchObject({
    error: { outcome: "unavailable", code: "UND_ERR_CONNECT_TIMEOUT" },
  });
});

test.each([
  ["SSH-2.0-OpenSSH_9.6\r\n", "malformed", "NOT_HTTP"],
  [`HTTP/1.1 200 OK\r\nx: ${"y".repeat(99_999)}\r\n\r\n`, "malformed", "UND_ERR_HEADERS_OVERFLOW"],
  ["HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nnot gzip", "malformed", "Z_DATA_ERROR"],
  ["", "unavailable", "UND_ERR_SOCKET"],
  ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "unavailable", expect.any(String)],
  [
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "unavailable",
    "UND_ERR_SOCKET",
  ],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "malformed", "NOT_HTTP"],
])("the bytes %j make the lookup %s", async (bytes, outcome, code) => {
  const client = clientAt(await serveBytes(bytes), "dhl");
  expect(await client.lookUp(NUMBER)).toMatchObject({ error: { outcome, code } });
});

test("charset, byte order mark and broken bytes do no harm", async () => {
  const scan = { timestamp: "2025-03-04T02:05:09", statusCode: "transit", description: "Köln" };
  const json = JSON.stringify({ shipments: [{ id: NUMBER, events: [scan] }] });
  const bodies: [Buffer, string, string][] = [
    [Buffer.from(`\ufeff${json}`), "application/json", "Köln"],
    [Buffer.from(json, "latin1"), "application/json; charset=iso-8859-1", "Köln"],
    [Buffer.from(json, "latin1"), "application/json", "K\ufffdln"],
    [Buffer.from(json), "application/json; charset=klingon", "Köln"],
  ];
  for (const [body, contentType, description] of bodies) {
    const base = await serve((_, response) =>
      response.writeHead(200, { "content-type": contentType }).end(body),
    );
    expect(await clientAt(base, "dhl").lookUp(NUMBER)).toMatchObject({
      tracking: { events: [{ description }] },
    });
  }
});

test("the environment's proxy is not asked", async () => {
  const sandbox = await withSandbox();
  for (const name of ["http_proxy", "HTTP_PROXY"]) vi.stubEnv(name, "http://127.0.0.1:1");
  for (const name of ["no_proxy", "NO_PROXY"]) vi.stubEnv(name, "");
  vi.stubEnv("NODE_USE_ENV_PROXY", "1");
  expect(await clientOf(sandbox, "dhl").lookUp(NUMBER)).toMatchObject({
    error: { outcome: "not_found" },
  });
});

test("what cannot be a number never reaches a carrier", async () => {
  const sandbox = await withSandbox();
  const client = clientOf(sandbox, "ups");
  for (const number of ["", "..", "../../secret", "1Z?x=1", "A\r\nX: 1", "\ud800AAAA"])
    expect(await client.lookUp(number)).toMatchObject({
      error: { outcome: "local", code: "IMPOSSIBLE_NUMBER" },
      calls: [],
    });
  expect(sandbox.log).toEqual([]);
});

test("a credential that cannot be a header is our trouble, and is not shown", async () => {
  const sandbox = await withSandbox();
  const credentials = { API_KEY: new Secret("canary\nkey-1") };
  const result = await clientOf(sandbox, "dhl", { credentials }).lookUp(NUMBER);
  expect(result).toMatchObject({ error: { outcome: "local", code: "UND_ERR_INVALID_ARG" } });
  expect(inspect(result, { depth: 9 })).not.toContain("canary");
});

test("a carrier's own host name may not lead to this machine", async () => {
  const sandbox = await withSandbox();
  const baseUrl = sandbox.url("dhl").replace("127.0.0.1", "localhost");
  const credentials = { API_KEY: new Secret(sandbox.credentials("dhl").API_KEY ?? "") };
  const lied = createCarrierClient({ ...dhl, baseUrl }, { credentials });
  const chosen = createCarrierClient(dhl, { credentials, baseUrl });
  expect(await lied.lookUp(NUMBER)).toMatchObject({
    error: { outcome: "local", code: "PRIVATE_ADDRESS" },
  });
  // Whoever sets the base URL has chosen where it leads.
  expect(await chosen.lookUp(NUMBER)).toMatchObject({ error: { outcome: "not_found" } });
  await Promise.all([lied.close(), chosen.close()]);
});

test("a credential in the answer is struck out of the evidence", async () => {
  const base = await serve((request, response) =>
    response.writeHead(403).end(`go away, ${request.headers["dhl-api-key"]}`),
  );
  const result = await clientAt(base, "dhl").lookUp(NUMBER);
  expect(result.body).toBe("go away, [redacted]");
  expect(JSON.stringify(result)).not.toContain("some-secret");
});

test.each([
  "http://api.example.com",
  "ftp://127.0.0.1",
  "https://user:pass@api.example.com",
  "https://api.example.com?x=1",
  "https://api.example.com#x",
  "nonsense",
])("%s is refused as a base URL", (baseUrl) => {
  expect(() => createCarrierClient(dhl, { baseUrl, credentials: {} })).toThrow(
    expect.objectContaining({ code: "BAD_BASE_URL" }),
  );
});

test.each(["", "/", "/api", "/api/"])(
  "with a base URL ending in %j the UPS token is asked for at the root of the host",
  async (path) => {
    const asked: string[] = [];
    const base = await serve((request, response) => {
      asked.push(`${request.method} ${request.url?.split("?")[0]}`);
      response.writeHead(200).end(JSON.stringify({ access_token: "t0ken-t0ken", expires_in: 60 }));
    });
    await clientAt(base + path, "ups").lookUp("1Z999AA10123456784");
    expect(asked).toEqual([
      "POST /security/v1/oauth/token",
      `GET ${path.replace(/\/$/, "")}/track/v1/details/1Z999AA10123456784`,
    ]);
  },
);
