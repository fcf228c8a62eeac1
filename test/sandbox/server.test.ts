import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type Sandbox, type SandboxOptions, startSandbox } from "../../src/sandbox/server.ts";

async function sandboxFor(options?: SandboxOptions): Promise<Sandbox> {
  const sandbox = await startSandbox(options);
  onTestFinished(() => sandbox.close());
  return sandbox;
}

const NUMBER = "1Z999AA10123456784";
const STEPS = [
  { stage: "pre_transit", at: "2025-08-21T10:15:00-04:00" },
  { stage: "in_transit", at: "2025-08-22T03:47:00-04:00", city: "Secaucus", country: "US" },
  { stage: "delivered", at: "2025-08-26T08:44:34-07:00" },
] as const;

function basic({ CLIENT_ID, CLIENT_SECRET }: Readonly<Record<string, string>>) {
  return `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString("base64")}`;
}

async function askToken(sandbox: Sandbox, authorization: string) {
  const url = new URL("/security/v1/oauth/token", sandbox.url("ups"));
  const body = "grant_type=client_credentials";
  return fetch(url, { method: "POST", headers: { authorization }, body });
}

async function askUps(sandbox: Sandbox, token: string, number = NUMBER) {
  const headers = { authorization: `Bearer ${token}`, transId: "1", transactionSrc: "test" };
  return fetch(`${sandbox.url("ups")}/track/v1/details/${number}`, { headers });
}

async function askDhl(sandbox: Sandbox, number = NUMBER) {
  const headers = { "DHL-API-Key": sandbox.credentials("dhl").API_KEY ?? "" };
  return fetch(`${sandbox.url("dhl")}/shipments?trackingNumber=${number}`, { headers });
}

async function stagesShown(sandbox: Sandbox): Promise<string[]> {
  const answer = await askDhl(sandbox);
  if (answer.status === 404) return [];
  const body = (await answer.json()) as { shipments: { events: { statusCode: string }[] }[] };
  return body.shipments.flatMap(({ events }) => events.map(({ statusCode }) => statusCode));
}

function control(sandbox: Sandbox, name: string, body: unknown) {
  const url = `http://127.0.0.1:${sandbox.port}/_sandbox/${name}`;
  return fetch(url, { method: "POST", body: JSON.stringify(body) });
}

test("a parcel shows one scan at first and one more with each advance, newest first", async () => {
  const sandbox = await sandboxFor({ scenarios: { [NUMBER]: { steps: STEPS } } });
  expect(await stagesShown(sandbox)).toEqual(["pre-transit"]);
  sandbox.advance(NUMBER);
  expect(await stagesShown(sandbox)).toEqual(["transit", "pre-transit"]);
  sandbox.advance(NUMBER, 9);
  expect(await stagesShown(sandbox)).toEqual(["delivered", "transit", "pre-transit"]);
});

test("a scan whose time has come shows by itself, with all before it", async () => {
  const sandbox = await sandboxFor();
  const [first, second, third] = STEPS;
  sandbox.script(NUMBER, {
    steps: [first, { ...second, afterMs: 0 }, { ...third, afterMs: 3_600_000 }],
    shown: 0,
  });
  expect(await stagesShown(sandbox)).toEqual(["transit", "pre-transit"]);
});

test("a number nobody scripted, and one with nothing to show yet, are unknown", async () => {
  const sandbox = await sandboxFor();
  expect(await stagesShown(sandbox)).toEqual([]);
  sandbox.script(NUMBER, { steps: STEPS, shown: 0 });
  expect(await stagesShown(sandbox)).toEqual([]);
  expect(() => sandbox.advance("OTHER")).toThrow("not scripted");
});

test("a token is given for the right credentials only, and is good until withdrawn", async () => {
  const sandbox = await sandboxFor();
  expect((await askToken(sandbox, "Basic bm86bm8=")).status).toBe(401);
  const answer = await askToken(sandbox, basic(sandbox.credentials("ups")));
  const { access_token, expires_in } = (await answer.json()) as Record<string, string>;
  expect(expires_in).toBe("14399");
  expect((await askUps(sandbox, "other")).status).toBe(401);
  expect((await askUps(sandbox, access_token ?? "")).status).toBe(200);
  sandbox.expireTokens();
  expect((await askUps(sandbox, access_token ?? "")).status).toBe(401);
});

test("DHL wants its key", async () => {
  const sandbox = await sandboxFor();
  const answer = await fetch(`${sandbox.url("dhl")}/shipments?trackingNumber=${NUMBER}`);
  expect(answer.status).toBe(401);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
});

test("a fault meets the requests that fit it, as often as said", async () => {
  const sandbox = await sandboxFor({ scenarios: { [NUMBER]: { steps: STEPS } } });
  sandbox.fault({ mode: "status", status: 503, api: "dhl", number: NUMBER, times: 2 });
  const statuses = async (number: string) => (await askDhl(sandbox, number)).status;
  expect(await statuses("OTHER")).toBe(404);
  expect([await statuses(NUMBER), await statuses(NUMBER), await statuses(NUMBER)]).toEqual([
    503, 503, 200,
  ]);
  sandbox.fault({ mode: "status", status: 500 });
  sandbox.fault({ mode: "status", status: 429, retryAfter: "7" });
  const answer = await askDhl(sandbox);
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "7"]);
  sandbox.clearFaults();
  expect(await statuses(NUMBER)).toBe(200);
});

test("the log has each request in its order, and how many were under way", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sandbox-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const logFile = join(folder, "requests.jsonl");
  const sandbox = await sandboxFor({ scenarios: { [NUMBER]: { steps: STEPS } }, logFile });
  sandbox.fault({ mode: "slow", ms: 20, times: 2 });
  await Promise.all([askDhl(sandbox), askDhl(sandbox)]);
  await askDhl(sandbox, "OTHER");
  const plain = sandbox.log.map(({ api, kind, number, status, concurrent }) => ({
    api,
    kind,
    number,
    status,
    concurrent,
  }));
  expect(plain).toEqual([
    { api: "dhl", kind: "lookup", number: NUMBER, status: 200, concurrent: 1 },
    { api: "dhl", kind: "lookup", number: NUMBER, status: 200, concurrent: 2 },
    { api: "dhl", kind: "lookup", number: "OTHER", status: 404, concurrent: 1 },
  ]);
  const times = sandbox.log.map(({ monotonic }) => monotonic);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toHaveLength(3);
});

test("another process can do all of it over HTTP", async () => {
  const sandbox = await sandboxFor();
  expect((await control(sandbox, "script", { number: NUMBER, steps: STEPS })).status).toBe(200);
  expect((await control(sandbox, "advance", { number: NUMBER })).status).toBe(200);
  expect(await stagesShown(sandbox)).toEqual(["transit", "pre-transit"]);
  await control(sandbox, "fault", { mode: "html", api: "dhl" });
  expect((await askDhl(sandbox)).headers.get("content-type")).toBe("text/html");
  await control(sandbox, "clear_faults", {});
  await control(sandbox, "expire_tokens", {});
  const log = await fetch(`http://127.0.0.1:${sandbox.port}/_sandbox/log`);
  expect(await log.json()).toMatchObject([
    { kind: "lookup", number: NUMBER, status: 200 },
    { kind: "lookup", number: NUMBER, status: 200 },
  ]);
});

test.each([
  ["script", { number: NUMBER }],
  ["script", { number: NUMBER, steps: [{ stage: "teleported", at: "2025-08-21T10:15:00" }] }],
  ["advance", { number: "OTHER" }],
  ["fault", { mode: "earthquake" }],
])("a bad %s command is refused with a reason, and nothing is done", async (name, body) => {
  const sandbox = await sandboxFor();
  const answer = await control(sandbox, name, body);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toEqual({ error: expect.stringMatching(/\w{3}/) });
  expect(await stagesShown(sandbox)).toEqual([]);
});

test("an API it does not speak has no address, and a path nobody has is 404", async () => {
  const sandbox = await sandboxFor();
  expect(() => sandbox.url("pigeon")).toThrow('does not speak "pigeon"');
  expect((await fetch(`http://127.0.0.1:${sandbox.port}/`)).status).toBe(404);
  expect((await control(sandbox, "constructor", {})).status).toBe(404);
});

test("a port that is taken is an error, not a hang", async () => {
  const { port } = await sandboxFor();
  await expect(startSandbox({ port })).rejects.toThrow("EADDRINUSE");
});
