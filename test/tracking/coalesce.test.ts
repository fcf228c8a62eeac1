import fc from "fast-check";
import { expect, test } from "vitest";
import { coalesce } from "../../src/tracking/coalesce.ts";

/** A flush that waits to be let go; `batches` are what it was given. */
function heldFlush() {
  const batches: (readonly number[])[] = [];
  const waiting: (() => void)[] = [];
  return {
    batches,
    /** Lets the batch that is under way end. */
    async letGo() {
      waiting.shift()?.();
      // The results reach their callers, and the next batch is gathered, in the turns that follow.
      await new Promise((resolve) => setImmediate(resolve));
    },
    flush(batch: readonly number[]): Promise<readonly number[]> {
      batches.push(batch);
      return new Promise((resolve) => {
        waiting.push(() => resolve(batch.map((n) => n * 10)));
      });
    },
  };
}

test("calls of the same turn share one batch, and each gets its own result", async () => {
  const batches: (readonly number[])[] = [];
  const call = coalesce(async (batch: readonly number[]) => {
    batches.push(batch);
    return batch.map((n) => n * 10);
  }, 100);
  expect(await Promise.all([call(1), call(2), call(3)])).toEqual([10, 20, 30]);
  expect(batches).toEqual([[1, 2, 3]]);
});

test("while one batch is under way the next gathers, and only one is under way at a time", async () => {
  const { batches, letGo, flush } = heldFlush();
  const call = coalesce(flush, 100);
  const first = call(1);
  await new Promise(setImmediate);
  const second = call(2);
  const third = call(3);
  expect(batches).toEqual([[1]]);
  await letGo();
  expect(await first).toBe(10);
  expect(batches).toEqual([[1], [2, 3]]);
  await letGo();
  expect(await Promise.all([second, third])).toEqual([20, 30]);
});

test("a batch is never larger than allowed, and nothing waits for ever", async () => {
  const sizes: number[] = [];
  const call = coalesce(async (batch: readonly number[]) => {
    sizes.push(batch.length);
    return batch;
  }, 100);
  const items = Array.from({ length: 1050 }, (_, i) => i);
  expect(await Promise.all(items.map(call))).toEqual(items);
  expect(Math.max(...sizes)).toBe(100);
  expect(sizes).toHaveLength(11);
});

test("an error reaches every caller of its batch, and the next batch is not its concern", async () => {
  const call = coalesce(async (batch: readonly number[]) => {
    if (batch.includes(13)) throw new Error("unlucky");
    return batch;
  }, 2);
  const ends = await Promise.allSettled([call(1), call(13), call(3), call(4)]);
  expect(ends.map(({ status }) => status)).toEqual([
    "rejected",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  expect(await call(5)).toBe(5);
});

test("a flush that throws before it returns is an error like any other", async () => {
  const call = coalesce((): Promise<readonly number[]> => {
    throw new Error("at once");
  }, 10);
  await expect(call(1)).rejects.toThrow("at once");
  await expect(call(2)).rejects.toThrow("at once");
});

test("a caller for whom the batch has no result is told so, not left waiting", async () => {
  const call = coalesce(async (batch: readonly number[]) => batch.slice(1), 10);
  const ends = await Promise.allSettled([call(1), call(2)]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
});

test("a result may be undefined or null", async () => {
  const call = coalesce(
    async (batch: readonly number[]) => batch.map((n) => (n ? null : undefined)),
    10,
  );
  expect(await Promise.all([call(0), call(1)])).toEqual([undefined, null]);
});

test("whoever calls from within a result joins a later batch", async () => {
  const batches: (readonly number[])[] = [];
  const call = coalesce(async (batch: readonly number[]) => {
    batches.push(batch);
    return batch;
  }, 10);
  await call(1).then(() => call(2));
  expect(batches).toEqual([[1], [2]]);
});

test("whatever comes when, every call gets the result of its own item and no item is flushed twice", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.nat(), { maxLength: 30 }),
      fc.integer({ min: 1, max: 5 }),
      async (scheduler, items, maxBatch) => {
        const flushed: number[] = [];
        const call = coalesce(
          scheduler.scheduleFunction(async (batch: readonly number[]) => {
            flushed.push(...batch);
            return batch.map(String);
          }),
          maxBatch,
        );
        const results = items.map((item) =>
          scheduler.schedule(Promise.resolve()).then(() => call(item)),
        );
        const all = Promise.all(results);
        await scheduler.waitFor(all);
        expect(await all).toEqual(items.map(String));
        expect(flushed.toSorted()).toEqual(items.toSorted());
      },
    ),
  );
});
