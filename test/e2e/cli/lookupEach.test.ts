import { afterAll, beforeAll, expect, test } from "vitest";
import { AGGREGATORS } from "../../../src/carriers/aggregators.ts";
import { adapters } from "../../../src/carriers/registry.ts";
import { type Sandbox, startSandbox } from "../../../src/sandbox/server.ts";
import { readFixtures } from "../../carriers/readFixtures.ts";
import { carrierEnvironment } from "../../helpers/workerProcess.ts";
import { bookpostEach } from "./bookpost.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.close());

test("lookup gives the normalised answer of every API that there is", async () => {
  const lines = adapters.map(({ code }) => {
    const fixture = readFixtures(code).find(({ situation }) => situation === "delivered");
    if (fixture === undefined) throw new Error(`no fixture delivered of ${code}`);
    const { trackingNumber, carrierCode } = fixture.subject;
    sandbox.script(trackingNumber, {
      shown: 2,
      steps: [
        { stage: "in_transit", at: "2026-11-20T09:15:00Z", city: "Leeds", country: "GB" },
        { stage: "delivered", at: "2026-11-21T10:20:00Z", city: "York", country: "GB" },
      ],
    });
    const carrier = AGGREGATORS.has(code) ? ["--carrier", carrierCode] : [];
    return ["lookup", code, trackingNumber, "--json", ...carrier];
  });
  const ended = await bookpostEach(lines, carrierEnvironment(sandbox));
  const told = ended.map(({ code, stdout }, i) => {
    const { outcome, status, error, events, deliveredAt, deliveredLocalTime } = JSON.parse(stdout);
    const hasTime = deliveredAt !== null || deliveredLocalTime !== null;
    return { api: lines[i]?.[1], code, outcome, status, error, scans: events.length, hasTime };
  });
  expect(told).toEqual(
    adapters.map(({ code }) => ({
      api: code,
      code: 0,
      outcome: "found",
      status: "delivered",
      error: null,
      scans: 2,
      hasTime: true,
    })),
  );
});
