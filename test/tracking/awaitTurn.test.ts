import { expect, test, vi } from "vitest";
import { awaitTurn } from "../../src/tracking/awaitTurn.ts";

const { signal } = new AbortController();

test.each([
  ["at once: it is not asked again", 0, 0, false],
  ["after a short wait: it is not asked again", 50, 0, false],
  ["after a wait in which the circuit may have opened: it is asked again", 150, 0, true],
  ["after the process has stood still: it is asked again", 0, 3_000, true],
  ["after a wait and a busy moment, as long as others take it for alive", 50, 2_000, false],
])("a request that goes out %s", async (_, waitMs, stoodStillMs, isAsked) => {
  const confirm = vi.fn(async () => ({ lookupId: "", refusal: "gone", retryInMs: null }));
  const askedAt = performance.now() - stoodStillMs;
  const refused = await awaitTurn({ at: askedAt + waitMs, askedAt, waitMs, signal, confirm });
  expect(refused).toEqual(isAsked ? expect.objectContaining({ refusal: "gone" }) : null);
  expect(confirm).toHaveBeenCalledTimes(Number(isAsked));
});
