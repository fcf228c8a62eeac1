import type pg from "pg";
import { describe, expect, test } from "vitest";
import { NotAsked } from "../../src/errors.ts";
import { payer } from "../../src/tracking/payer.ts";

const signal = new AbortController().signal;

/** A payer whose database answers `answers` in turn; an Error is thrown. */
function payerOf(callBefore: number, ...answers: readonly unknown[]) {
  const asked: unknown[] = [];
  const left = [...answers];
  const pool = {
    async query(_: string, values: unknown[]) {
      asked.push(values[1]);
      const answer = left.shift();
      if (answer instanceof Error) throw answer;
      return { rows: [answer] };
    },
  } as unknown as pg.Pool;
  const pay = payer({
    pool,
    lookupId: "l",
    callBefore,
    signal,
    confirm: async () => ({ lookupId: "l", refusal: null, retryInMs: null }),
  });
  return { asked, pay };
}

const granted = { refusal: null, waitMs: 0, useWithinMs: 10_000 };
const broken = (code: string) => Object.assign(new Error("it broke"), { code });

describe("the first request", () => {
  test("is paid for by the permit, whatever it is", async () => {
    const { asked, pay } = payerOf(Infinity);
    await pay("token");
    expect(asked).toEqual([]);
  });

  test("that comes too late is paid for again", async () => {
    const { asked, pay } = payerOf(-1, granted);
    await pay("lookup");
    expect(asked).toEqual(["lookup"]);
  });
});

test("each further one is paid for", async () => {
  const { asked, pay } = payerOf(Infinity, granted, granted);
  for (const kind of ["token", "lookup", "register"] as const) await pay(kind);
  expect(asked).toEqual(["lookup", "register"]);
});

test("a refusal is thrown with its reason and its end", async () => {
  const { pay } = payerOf(-1, { refusal: "not_before", retryInMs: 7_000 });
  const error = await pay("lookup").catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NotAsked);
  expect(error).toMatchObject({ refusal: "not_before", retryInMs: 7_000, outcome: "local" });
});

test("who is late again and again gives up", async () => {
  const late = { refusal: null, waitMs: 0, useWithinMs: -1 };
  const { asked, pay } = payerOf(-1, late, late, late, late);
  await expect(pay("lookup")).rejects.toMatchObject({ refusal: "late", retryInMs: 0 });
  expect(asked).toHaveLength(3);
});

test.each(["40P01", "57P01", "ECONNRESET"])(
  "%s of the database passes, and says nothing of the carrier",
  async (code) => {
    const { pay } = payerOf(-1, broken(code));
    await expect(pay("lookup")).rejects.toMatchObject({ refusal: "no_database" });
  },
);

test("an error that does not pass is not hidden", async () => {
  const { pay } = payerOf(-1, broken("42883"));
  await expect(pay("lookup")).rejects.toThrow("it broke");
});
