import { expect, test, vi } from "vitest";
import { persist } from "../../src/db/persist.ts";

function failing(...codes: string[]) {
  return vi.fn(async () => {
    const code = codes.shift();
    if (code) throw Object.assign(new Error(code), /^[A-Z0-9]+$/.test(code) ? { code } : {});
    return "done";
  });
}

test.each([
  "40P01",
  "57P01",
  "08006",
  "53300",
  "25006",
  "ECONNRESET",
  "ECONNREFUSED",
  "Connection terminated unexpectedly",
  "timeout exceeded when trying to connect",
  "Query read timeout",
])("what passes is done again: %s", async (trouble) => {
  const work = failing(trouble, trouble, trouble, trouble);
  expect(await persist(work)).toBe("done");
  expect(work).toHaveBeenCalledTimes(5);
});

test.each(["42P01", "23505", "55P03", "22P05", "some bug"])(
  "what does not pass is thrown at once: %s",
  async (trouble) => {
    const work = failing(trouble, trouble);
    await expect(persist(work)).rejects.toThrow(trouble);
    expect(work).toHaveBeenCalledTimes(1);
  },
);

test("what has not passed when patience ends is thrown", async () => {
  const work = failing(...Array<string>(1_000).fill("57P01"));
  await expect(persist(work, { patienceMs: 200 })).rejects.toThrow("57P01");
  // 50 ms doubled each time, half of it at least: the fifth comes after 200.
  expect(work.mock.calls.length).toBeGreaterThan(2);
  expect(work.mock.calls.length).toBeLessThanOrEqual(6);
});
