import { afterAll, beforeAll, expect, test } from "vitest";
import { AGGREGATORS } from "../../../src/carriers/aggregators.ts";
import { type Sandbox, startSandbox } from "../../../src/sandbox/server.ts";
import { newNumber } from "../../helpers/trackBook.ts";
import { carrierEnvironment } from "../../helpers/workerProcess.ts";
import { bookpost } from "./bookpost.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.close());
const run = (args: string[], env: Record<string, string> = {}) =>
  bookpost(["lookup", ...args], { ...carrierEnvironment(sandbox), ...env });

test("lookup --json tells all that the carrier said, oldest scan first, in the carrier's own times", async () => {
  sandbox.script("1Z12345E0205271688", {
    shown: 3,
    signedBy: "M. Mustermann",
    steps: [
      { stage: "pre_transit", at: "2025-08-24T10:00:00-04:00", text: "Label made" },
      { stage: "unlisted", at: "2025-08-25T12:00:00-05:00", text: "Odd", city: "Chicago" },
      { stage: "delivered", at: "2025-08-26T08:44:34-07:00", text: "Delivered" },
    ],
  });
  const { code, stdout, stderr } = await run(["ups", "1z12345e 0205271688", "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const told = JSON.parse(stdout);
  expect(told).toMatchObject({
    outcome: "found",
    status: "delivered",
    deliveredAt: "2025-08-26T15:44:34Z",
    deliveredLocalTime: "2025-08-26T08:44:34",
    deliveredTimeZone: "-07:00",
    signedBy: "M. Mustermann",
    estimatedDelivery: null,
    error: null,
  });
  expect(told.rawStatus).toEqual(expect.any(String));
  expect(told.events).toHaveLength(3);
  expect(told.events[0]).toMatchObject({
    occurredAt: "2025-08-24T14:00:00Z",
    localTime: "2025-08-24T10:00:00",
    timeZone: "-04:00",
    status: "pre_transit",
    description: "Label made",
  });
  expect(told.events[1]).toMatchObject({
    status: null,
    location: expect.stringMatching("Chicago"),
  });
  expect(told.warnings.join()).toContain("not listed");
  expect(told.warnings.join()).toContain("typing error");
});

test("an estimate of days stays days, and a time without an offset is not made an instant", async () => {
  const number = newNumber();
  sandbox.script(number, {
    estimatedDelivery: "2025-08-29",
    steps: [{ stage: "in_transit", at: "2025-08-25T10:00:00" }],
  });
  const told = JSON.parse((await run(["dhl", number, "--json"])).stdout);
  expect(told.estimatedDelivery).toEqual({
    from: "2025-08-29",
    until: "2025-08-29",
    timeZone: null,
  });
  expect(told.events[0]).toMatchObject({ occurredAt: null, localTime: "2025-08-25T10:00:00" });
  const { stdout } = await run(["dhl", number]);
  expect(stdout).toMatch(/expected +2025-08-29\n/);
  expect(stdout).toContain("2025-08-25 10:00:00 local time");
});

test("a number that the carrier does not know is an answer: exit code 0", async () => {
  const { code, stdout } = await run(["dhl", newNumber(), "--json"]);
  expect(code).toBe(0);
  const told = JSON.parse(stdout);
  expect(told).toMatchObject({ outcome: "not_found", status: null, events: [] });
  expect(told.error).toEqual({ code: expect.any(String), message: expect.any(String) });
});

test.for<[outcome: string, fault: Parameters<Sandbox["fault"]>[0]]>([
  ["unavailable", { mode: "status", status: 503 }],
  ["malformed", { mode: "html" }],
  ["rate_limited", { mode: "status", status: 429, retryAfter: "7" }],
])("no answer from the carrier is told as %s, with exit code 1", async ([outcome, fault]) => {
  const number = newNumber();
  sandbox.fault({ ...fault, api: "dhl", number });
  const { code, stdout } = await run(["dhl", number, "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ outcome, error: { code: expect.any(String) } });
  expect(code).toBe(1);
});

test("refused credentials are told without telling them", async () => {
  const { code, stdout, stderr } = await run(["dhl", newNumber(), "--json"], {
    DHL_API_KEY: "not-the-key-9f3a",
  });
  expect(JSON.parse(stdout).outcome).toBe("rejected");
  expect(stdout + stderr).not.toContain("not-the-key-9f3a");
  expect(code).toBe(1);
});

test("a scanned USPS label is asked about by its number", async () => {
  const number = "9400111206206406260787";
  sandbox.script(number, { steps: [{ stage: "in_transit", at: "2025-08-25T12:00:00-05:00" }] });
  const { stdout } = await run(["usps", `420787459400111206206406260787`, "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ outcome: "found", status: "in_transit" });
});

test("an aggregator is asked about the carrier that was named, by that carrier's rules", async () => {
  const number = "9400111206206406260794";
  sandbox.script(number, { steps: [{ stage: "in_transit", at: "2025-08-25T12:00:00Z" }] });
  const found = await run(["easypost", number, "--carrier", "usps", "--json"]);
  expect(JSON.parse(found.stdout)).toMatchObject({ outcome: "found", status: "in_transit" });
  expect(sandbox.log.at(-1)).toMatchObject({ api: "easypost", number });
  const refused = await run(["easypost", "9400111206206406260795", "--carrier", "usps"]);
  expect(refused.stderr).toContain("check digit");
  expect(refused.code).toBe(2);
});

test.for([...AGGREGATORS])("%s is not asked before the carrier is named", async (api) => {
  const asked = sandbox.log.length;
  const { code, stdout, stderr } = await run([api, "9400111206206406260787"]);
  expect(stderr).toMatch(/^[^\n]* answers for many carriers: say who[^\n]*--carrier usps[^\n]*\n$/);
  expect(stdout).toBe("");
  expect(code).toBe(2);
  expect(sandbox.log).toHaveLength(asked);
});

test.for<[what: string, args: string[], env: Record<string, string>, says: string]>([
  ["an API nobody wrote", ["nix", "12345678"], {}, "there are ups, usps"],
  ["a carrier the API does not answer for", ["ups", "12345678", "--carrier", "dhl"], {}, "leave"],
  ["no credentials", ["ups", "12345678"], { UPS_CLIENT_SECRET: "" }, "set UPS_CLIENT_SECRET in"],
  ["an impossible number", ["ups", "1Z123"], {}, "18 letters and digits"],
  ["no number", ["ups"], {}, "'number'"],
  ["a base URL without https", ["ups", "12345678"], { UPS_BASE_URL: "http://x.y" }, "UPS_BASE_URL"],
])("lookup cannot be done with %s, and nobody is asked", async ([, args, env, says]) => {
  const asked = sandbox.log.length;
  const { code, stdout, stderr } = await run(args, env);
  expect(stderr).toContain(says);
  expect(stdout).toBe("");
  expect(code).toBe(2);
  expect(sandbox.log).toHaveLength(asked);
});
