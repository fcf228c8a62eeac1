import { describe, expect, test } from "vitest";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import type { SCAN_STAGES } from "../../src/sandbox/scenario.ts";
import { Secret } from "../../src/secret.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

type ScanStage = (typeof SCAN_STAGES)[number];

/** A header-key API asked over real HTTP: found, not found, refused, throttled, broken, and each stage in its own codes. */
export function testOverHttp(options: {
  readonly code: string;
  readonly number: string;
  readonly carrierCode?: string;
  /** The status each scripted stage is read as, where it is not the stage itself. */
  readonly otherwise: Partial<Record<ScanStage, string>>;
}): void {
  const { code, number, carrierCode = code, otherwise } = options;
  const at = "2025-03-04T02:05:09+01:00";
  const ask = { carrierCode };

  describe("over HTTP", () => {
    test("a parcel is followed to its delivery, with one request each time", async () => {
      const steps = [
        { stage: "in_transit", at },
        { stage: "delivered", at: "2025-03-05T11:20:00+01:00" },
      ] as const;
      const sandbox = await withSandbox({ scenarios: { [number]: { steps } } });
      const client = clientOf(sandbox, code);
      const first = await client.lookUp(number, ask);
      expect(first).toMatchObject({ kind: "found", tracking: { status: "in_transit" } });
      sandbox.advance(number);
      const second = await client.lookUp(number, ask);
      if (second.kind !== "found") throw second.error;
      expect(foldStatus(second.tracking)).toMatchObject({
        status: "delivered",
        deliveredEvent: { occurredAt: "2025-03-05T10:20:00Z" },
      });
      expect(second.calls).toHaveLength(1);
    });

    const stages = [
      "pre_transit",
      "in_transit",
      "out_for_delivery",
      "available_for_pickup",
      "delivered",
      "exception",
      "return_to_sender",
      "cancelled",
      "no_change",
      "unlisted",
    ] as const;
    test.each(stages)("a scan of the stage %s arrives", async (stage) => {
      const sandbox = await withSandbox({
        scenarios: { [number]: { steps: [{ stage, at }] } },
      });
      const result = await clientOf(sandbox, code).lookUp(number, ask);
      if (result.kind !== "found") throw result.error;
      expect(foldStatus(result.tracking).status).toBe(otherwise[stage] ?? stage);
    });

    test("a number it does not know is not found", async () => {
      const result = await clientOf(await withSandbox(), code).lookUp(number, ask);
      expect(result).toMatchObject({ kind: "failed", error: { outcome: "not_found" } });
    });

    test("a key it does not know is rejected, and shows nowhere", async () => {
      const credentials = { API_KEY: new Secret("canary-key-1") };
      const sandbox = await withSandbox({ scenarios: { [number]: { steps: [] } } });
      const result = await clientOf(sandbox, code, { credentials }).lookUp(number, ask);
      expect(result).toMatchObject({
        error: { outcome: "rejected" },
        calls: [{ httpStatus: 401 }],
      });
      if (result.kind === "found") throw new Error("found");
      expect(result.error.message).toContain(`${code.toUpperCase()}_API_KEY`);
      expect(JSON.stringify([result, result.error.message])).not.toContain("canary");
    });

    test.each([
      [{ mode: "status", status: 429, retryAfter: "60" }, "rate_limited"],
      [{ mode: "status", status: 500 }, "unavailable"],
      [{ mode: "status", status: 503 }, "unavailable"],
      [{ mode: "html" }, "malformed"],
      [{ mode: "wrong_shape" }, "malformed"],
      [{ mode: "error_inside_200" }, "malformed"],
    ] as const)("%j makes the lookup %s", async (fault, outcome) => {
      const sandbox = await withSandbox({
        scenarios: { [number]: { steps: [{ stage: "in_transit", at }] } },
      });
      sandbox.fault({ ...fault, api: code, number });
      const result = await clientOf(sandbox, code).lookUp(number, ask);
      expect(result).toMatchObject({ kind: "failed", error: { outcome } });
    });
  });
}
