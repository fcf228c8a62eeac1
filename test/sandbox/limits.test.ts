import { expect, onTestFinished, test } from "vitest";
import { type Sandbox, startSandbox } from "../../src/sandbox/server.ts";
import { until } from "../helpers/until.ts";

async function openSandbox(): Promise<Sandbox> {
  const sandbox = await startSandbox();
  onTestFinished(() => sandbox.close());
  return sandbox;
}

function askDhl(sandbox: Sandbox, headers?: Record<string, string>) {
  const key = { "DHL-API-Key": sandbox.credentials("dhl").API_KEY ?? "" };
  return fetch(`${sandbox.url("dhl")}/shipments?trackingNumber=N1`, { headers: headers ?? key });
}

function askUpsToken(sandbox: Sandbox) {
  return fetch(new URL("/security/v1/oauth/token", sandbox.url("ups")), { method: "POST" });
}

async function statuses(sandbox: Sandbox, count: number): Promise<number[]> {
  const all = [];
  for (let i = 0; i < count; i++) all.push((await askDhl(sandbox)).status);
  return all;
}

const overs = (sandbox: Sandbox) => sandbox.log.map(({ over }) => over);

test("one call more than a window allows is refused in the API's own words, and the log says why", async () => {
  const sandbox = await openSandbox();
  sandbox.limit({ api: "dhl", calls: 2, windowMs: 60_000, retryAfter: "7" });
  expect(await statuses(sandbox, 2)).toEqual([404, 404]);
  const refused = await askDhl(sandbox);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "7"]);
  expect(await refused.json()).toMatchObject({ title: "Too Many Requests", status: 429 });
  expect(sandbox.log.map(({ over, retryAfter }) => [over, retryAfter])).toEqual([
    [null, null],
    [null, null],
    ["window", "7"],
  ]);
});

test("a window slides: a call that is older than it no longer counts", async () => {
  const sandbox = await openSandbox();
  expect(await statuses(sandbox, 1)).toEqual([404]);
  // A pause between two tries is longer than this.
  sandbox.limit({ api: "dhl", calls: 1, windowMs: 10 });
  await until("a call is let in again", async () => (await askDhl(sandbox)).status === 404);
  const [before, last] = sandbox.log.slice(-2).map(({ monotonic }) => monotonic);
  expect((last ?? 0) - (before ?? 0)).toBeGreaterThanOrEqual(10);
});

test("every request counts: tokens, those that are refused, and those from before the limit was set", async () => {
  const sandbox = await openSandbox();
  await askUpsToken(sandbox);
  sandbox.limit({ api: "ups", calls: 2, windowMs: 60_000 });
  expect((await askUpsToken(sandbox)).status).toBe(401);
  expect((await askUpsToken(sandbox)).status).toBe(429);
  expect((await fetch(`${sandbox.url("ups")}/track/v1/details/N1`)).status).toBe(429);
  expect(sandbox.log.map(({ kind, over }) => [kind, over])).toEqual([
    ["token", null],
    ["token", null],
    ["token", "window"],
    ["lookup", "window"],
  ]);
});

test("one API's limit is nothing to another, and clearing ends it", async () => {
  const sandbox = await openSandbox();
  sandbox.limit({ api: "ups", calls: 0, windowMs: 60_000 });
  expect(await statuses(sandbox, 1)).toEqual([404]);
  expect((await askUpsToken(sandbox)).status).toBe(429);
  sandbox.clearLimits();
  // Its own second call; the other one's is not counted.
  sandbox.limit({ api: "ups", calls: 2, windowMs: 60_000 });
  expect((await askUpsToken(sandbox)).status).toBe(401);
  expect((await askUpsToken(sandbox)).status).toBe(429);
  sandbox.clearLimits();
  expect((await askUpsToken(sandbox)).status).toBe(401);
  expect(() => sandbox.limit({ api: "pigeon", calls: 1, windowMs: 1 })).toThrow("pigeon");
});

test("a day's calls are counted up to its reset, and from then on anew", async () => {
  const sandbox = await openSandbox();
  const soon = new Date(Date.now() + 3_600_000).toISOString();
  sandbox.limit({ api: "dhl", calls: 2, resetsAt: soon });
  expect(await statuses(sandbox, 3)).toEqual([404, 404, 429]);
  expect(overs(sandbox)).toEqual([null, null, "day"]);
  // As if the reset had come after those three.
  sandbox.clearLimits();
  const last = sandbox.log.at(-1)?.at ?? 0;
  sandbox.limit({ api: "dhl", calls: 2, resetsAt: new Date(last + 1).toISOString() });
  await until("a new day has begun", async () => Date.now() > last);
  expect(await statuses(sandbox, 3)).toEqual([404, 404, 429]);
});

test("a day begins anew every 24 hours, before and after the instant named", async () => {
  const sandbox = await openSandbox();
  const dayMs = 24 * 3_600_000;
  const justNow = Math.floor(Date.now() / 1_000) * 1_000 - 10_000;
  for (const days of [-3, 0, 2]) {
    sandbox.limit({
      api: "dhl",
      calls: 1,
      resetsAt: new Date(justNow + days * dayMs).toISOString(),
    });
    expect((await askDhl(sandbox)).status).toBe(overs(sandbox).length === 1 ? 404 : 429);
    sandbox.clearLimits();
  }
});

test("one more under way than allowed is refused, and none once they have ended", async () => {
  const sandbox = await openSandbox();
  sandbox.limit({ api: "dhl", inFlight: 1 });
  sandbox.fault({ mode: "hang", api: "dhl", times: 1 });
  const hanging = new AbortController();
  const key = { "DHL-API-Key": sandbox.credentials("dhl").API_KEY ?? "" };
  const url = `${sandbox.url("dhl")}/shipments?trackingNumber=N1`;
  const first = fetch(url, { headers: key, signal: hanging.signal }).catch(() => "hung up");
  await expect.poll(() => sandbox.log.length).toBe(1);
  expect(await statuses(sandbox, 1)).toEqual([429]);
  hanging.abort();
  expect(await first).toBe("hung up");
  await expect.poll(async () => (await statuses(sandbox, 1))[0]).toBe(404);
  expect(overs(sandbox).slice(0, 2)).toEqual([null, "in_flight"]);
  expect(overs(sandbox).at(-1)).toBeNull();
});

test("a refusal for a limit is told apart from a fault, and does not use the fault up", async () => {
  const sandbox = await openSandbox();
  sandbox.fault({ mode: "status", status: 429, retryAfter: "3", api: "dhl", times: 1 });
  sandbox.limit({ api: "dhl", calls: 0, windowMs: 60_000 });
  expect(await statuses(sandbox, 1)).toEqual([429]);
  sandbox.clearLimits();
  expect(await statuses(sandbox, 2)).toEqual([429, 404]);
  expect(sandbox.log.map(({ over, fault, retryAfter }) => ({ over, fault, retryAfter }))).toEqual([
    { over: "window", fault: null, retryAfter: null },
    { over: null, fault: "status", retryAfter: "3" },
    { over: null, fault: null, retryAfter: null },
  ]);
});

test("another process can set limits and end them over HTTP", async () => {
  const sandbox = await openSandbox();
  const control = (name: string, body: unknown) =>
    fetch(`http://127.0.0.1:${sandbox.port}/_sandbox/${name}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
  expect((await control("limit", { api: "dhl", calls: 0, windowMs: 60_000 })).status).toBe(200);
  expect(await statuses(sandbox, 1)).toEqual([429]);
  await control("clear_limits", {});
  expect(await statuses(sandbox, 1)).toEqual([404]);
  for (const bad of [
    { api: "dhl", calls: 1 },
    { api: "dhl", calls: 1, resetsAt: "tomorrow" },
    { api: "pigeon", calls: 1, windowMs: 1_000 },
  ])
    expect((await control("limit", bad)).status).toBe(400);
});
