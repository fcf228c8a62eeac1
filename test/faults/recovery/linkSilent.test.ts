import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Lane } from "../../harness/lane.ts";
import { until } from "../../helpers/until.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { heldBy, isTakenOver, openStage, type Stage } from "./stage.ts";

// A host that vanishes, or a link that stays open and silent: nobody gets an error, bytes only vanish.

const LANES = 9;
const ROUNDS = 3;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(LANES + 1, 3);
}, 120_000);
afterAll(() => stage?.close());

test("what a worker behind a silent link had under way runs elsewhere within 30 seconds, and the worker ends with 1 by itself", {
  timeout: 600_000,
}, async () => {
  const elsewhere: number[] = [];
  const ended: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await until(
      "all live",
      async () => stage.lanes.every((lane) => lane.worker() !== null),
      240_000,
    );
    await Promise.all(
      Array.from({ length: LANES }, async (_, i) => {
        const lane = stage.lanes[i] as Lane;
        const child = lane.worker()?.child;
        if (child?.pid === undefined) throw new Error("it does not live");
        const { pid } = child;
        const held = await until(
          "it has something under way",
          async () => {
            const found = await heldBy(stage.db, pid);
            return found !== null && found.lookups.length > 0 && found;
          },
          240_000,
        );
        const silent = lane.line.connections;
        const toxic = lane.line.add({ type: "blackhole" });
        const at = performance.now();
        const exit = once(child, "exit").then(([code]) => {
          ended.push((performance.now() - at) / 1_000);
          toxic.remove();
          // Keep-alives would end them on a real link; here they would fill the server round after round.
          for (const connection of silent) connection.cut();
          return code;
        });
        await until("it runs elsewhere", () => isTakenOver(stage, held, at), 240_000);
        elsewhere.push((performance.now() - at) / 1_000);
        expect(await exit).toBe(1);
      }),
    );
  }
  expect(elsewhere).toHaveLength(LANES * ROUNDS);
  await reportRecovery({
    point: "the link to Postgres silent: its parcels elsewhere",
    seconds: elsewhere,
    promisedSeconds: 30,
  });
  await reportRecovery({
    point: "the link to Postgres silent: the worker has ended",
    seconds: ended,
    promisedSeconds: 30,
  });
  for (const [what, offenders] of Object.entries(await stage.finish()))
    expect(offenders, what).toEqual([]);
});
