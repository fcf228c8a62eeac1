import { describe, expect, test } from "vitest";
import type { LookupResult } from "../../src/carriers/carrier.ts";
import { NotAsked } from "../../src/errors.ts";
import type { Sandbox } from "../../src/sandbox/server.ts";
import { Secret } from "../../src/secret.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "1Z999AA10123456784";
const PARCEL = { steps: [{ stage: "in_transit", at: "2025-08-25T21:30:00-07:00" }] } as const;

const start = (tokenLifeMs?: number) =>
  withSandbox({ scenarios: { [NUMBER]: PARCEL }, ...(tokenLifeMs ? { tokenLifeMs } : {}) });

function count(sandbox: Sandbox, kind: string): number {
  return sandbox.log.filter((entry) => entry.kind === kind).length;
}

const kinds = (results: LookupResult[]) => new Set(results.map(({ kind }) => kind));
const many = (lookUp: () => Promise<LookupResult>) =>
  Promise.all(Array.from({ length: 50 }, lookUp));

test("fifty lookups at once fetch one token, and one of them reports the call", async () => {
  const sandbox = await start();
  const client = clientOf(sandbox, "ups");
  const results = await many(() => client.lookUp(NUMBER));
  expect(kinds(results)).toEqual(new Set(["found"]));
  expect(count(sandbox, "token")).toBe(1);
  const calls = results.flatMap((result) => result.calls);
  expect(calls.filter(({ kind }) => kind === "token")).toHaveLength(1);
  expect(calls.filter(({ kind }) => kind === "lookup")).toHaveLength(50);
});

test("a token that can't be had is the failure of the one who asked for it; the others were simply not asked about", async () => {
  const sandbox = await start();
  sandbox.fault({ mode: "status", status: 503, kind: "token" });
  const client = clientOf(sandbox, "ups");
  const results = await Promise.all(Array.from({ length: 8 }, () => client.lookUp(NUMBER)));
  expect(count(sandbox, "token")).toBe(1);
  const ends = results.map((result) => (result.kind === "failed" ? result.error : null));
  expect(ends.map((error) => error?.outcome).toSorted()).toEqual([
    ...Array<string>(7).fill("local"),
    "unavailable",
  ]);
  expect(ends.filter((error) => error instanceof NotAsked)).toHaveLength(7);
  for (const { calls, ...result } of results)
    expect(calls).toHaveLength(
      result.kind === "failed" && result.error.outcome === "unavailable" ? 1 : 0,
    );
});

test("fifty lookups whose token was withdrawn fetch one new token and are all answered", async () => {
  const sandbox = await start();
  const client = clientOf(sandbox, "ups");
  await client.lookUp(NUMBER);
  sandbox.expireTokens();
  expect(kinds(await many(() => client.lookUp(NUMBER)))).toEqual(new Set(["found"]));
  expect(count(sandbox, "token")).toBe(2);
});

test("a token is fetched anew before it ends, and not before nine tenths of its life but once", async () => {
  const sandbox = await start(1_000_000);
  let nowMs = 5_000;
  const client = clientOf(sandbox, "ups", { elapsedMs: () => nowMs });
  await client.lookUp(NUMBER);
  // The margin is a tenth of its life, and jitter at most doubles it.
  nowMs += 799_000;
  await client.lookUp(NUMBER);
  expect(count(sandbox, "token")).toBe(1);
  nowMs += 102_000;
  await client.lookUp(NUMBER);
  expect(count(sandbox, "token")).toBe(2);
  expect(sandbox.log.filter(({ status }) => status === 401)).toEqual([]);
});

test("a wall clock that is put back or forth changes nothing in a token's life", async () => {
  const sandbox = await start(1_000_000);
  let nowMs = 5_000;
  let wallMs = Date.parse("2025-09-01T12:00:00Z");
  const client = clientOf(sandbox, "ups", {
    elapsedMs: () => nowMs,
    now: () => new Date(wallMs),
  });
  await client.lookUp(NUMBER);
  wallMs += 86_400_000;
  await client.lookUp(NUMBER);
  expect(count(sandbox, "token")).toBe(1);
  wallMs -= 2 * 86_400_000;
  nowMs += 901_000;
  await client.lookUp(NUMBER);
  expect(count(sandbox, "token")).toBe(2);
});

test("refused with a new token too, the lookup is rejected after one repetition", async () => {
  const sandbox = await start();
  sandbox.fault({ mode: "status", status: 401, kind: "lookup" });
  const result = await clientOf(sandbox, "ups").lookUp(NUMBER);
  expect(result).toMatchObject({ kind: "failed", error: { outcome: "rejected" } });
  expect(result.calls.map(({ kind }) => kind).toSorted()).toEqual([
    "lookup",
    "lookup",
    "token",
    "token",
  ]);
});

test("a carrier without tokens is not asked twice after a refusal", async () => {
  const sandbox = await start();
  sandbox.fault({ mode: "status", status: 401 });
  const result = await clientOf(sandbox, "dhl").lookUp(NUMBER);
  expect(result).toMatchObject({ error: { outcome: "rejected" }, calls: [{ kind: "lookup" }] });
});

describe("the token service", () => {
  test.each([
    [{ mode: "status", status: 400 }, "rejected"],
    [{ mode: "status", status: 401 }, "rejected"],
    [{ mode: "status", status: 403 }, "rejected"],
    [{ mode: "status", status: 404 }, "rejected"],
    [{ mode: "status", status: 429, retryAfter: "60" }, "rate_limited"],
    [{ mode: "status", status: 500 }, "unavailable"],
    [{ mode: "reset" }, "unavailable"],
    [{ mode: "hang" }, "unavailable"],
    [{ mode: "redirect" }, "malformed"],
    [{ mode: "html" }, "malformed"],
    [{ mode: "wrong_shape" }, "malformed"],
    [{ mode: "broken_json" }, "malformed"],
    [{ mode: "gzip_bomb" }, "malformed"],
  ] as const)("answering %j makes the lookup %s", async (fault, outcome) => {
    const sandbox = await start();
    sandbox.fault({ ...fault, kind: "token" });
    const client = clientOf(sandbox, "ups", { limits: { totalTimeoutMs: 1_000 } });
    const result = await client.lookUp(NUMBER);
    expect(result).toMatchObject({
      kind: "failed",
      error: { outcome },
      calls: [{ kind: "token" }],
      body: null,
    });
    expect(count(sandbox, "lookup")).toBe(0);
  });

  test("its failure is everybody's who waited, and nobody's after it", async () => {
    const sandbox = await start();
    sandbox.fault({ mode: "status", status: 503, kind: "token", times: 1 });
    const client = clientOf(sandbox, "ups");
    expect(kinds(await many(() => client.lookUp(NUMBER)))).toEqual(new Set(["failed"]));
    expect(count(sandbox, "token")).toBe(1);
    expect((await client.lookUp(NUMBER)).kind).toBe("found");
  });

  test("credentials it does not know are rejected, by the names of their variables", async () => {
    const sandbox = await start();
    const credentials = {
      CLIENT_ID: new Secret("canary-id-1"),
      CLIENT_SECRET: new Secret("canary-2"),
    };
    const result = await clientOf(sandbox, "ups", { credentials }).lookUp(NUMBER);
    expect(result).toMatchObject({
      error: {
        outcome: "rejected",
        code: "250002",
        message: expect.stringContaining("UPS_CLIENT_ID and UPS_CLIENT_SECRET"),
      },
    });
    expect(JSON.stringify(result)).not.toContain("canary");
  });

  test("one waiter's stop does not end the request that the others wait for", async () => {
    const sandbox = await start();
    sandbox.fault({ mode: "slow", kind: "token", ms: 50 });
    const client = clientOf(sandbox, "ups");
    const controller = new AbortController();
    const first = client.lookUp(NUMBER, { signal: controller.signal });
    const second = client.lookUp(NUMBER);
    controller.abort();
    expect(await first).toMatchObject({ error: { outcome: "local", code: "ABORTED" } });
    expect(await second).toMatchObject({ kind: "found" });
    expect(count(sandbox, "token")).toBe(1);
  });

  test("a token is never in what a lookup hands back", async () => {
    const sandbox = await start();
    const result = await clientOf(sandbox, "ups").lookUp(NUMBER);
    expect(result.kind).toBe("found");
    expect(JSON.stringify(result)).not.toMatch(/sandbox-[0-9a-f]{8}-|access_token|Bearer/);
  });
});
