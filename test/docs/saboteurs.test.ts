import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { guarantees } from "../faults/guarantees.ts";
import { edited } from "../faults/saboteurs/brokenProject.ts";
import { saboteurs } from "../faults/saboteurs/saboteurs.ts";
import { saboteursOf } from "../faults/saboteurs/saboteursOf.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (file: string) => readFile(join(ROOT, file), "utf8");

describe("a promise", () => {
  test("that has tests is broken on purpose, so that one of them is seen to go red", () => {
    const unbroken = guarantees.filter(
      (promise) => (promise.tests ?? []).length > 0 && saboteursOf(promise).length === 0,
    );
    expect(unbroken.map(({ id }) => id)).toEqual([]);
  });

  test("names only saboteurs that there are", async () => {
    const missing = [];
    for (const promise of guarantees)
      for (const { file, name } of saboteursOf(promise))
        if (!(await read(file).catch(() => "")).includes(JSON.stringify(name)))
          missing.push({ file, name });
    expect(missing).toEqual([]);
  });
});

describe("a saboteur", () => {
  test("has a name of its own", () => {
    const names = saboteurs.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)]);
  });

  test("changes a text that is there exactly once: who changes the code changes it too", async () => {
    for (const { name, edits } of saboteurs) {
      const sources = new Map<string, string>();
      for (const edit of edits) {
        const source = sources.get(edit.file) ?? (await read(edit.file));
        const changed = edited(source, edit);
        expect(changed, name).not.toBe(source);
        sources.set(edit.file, changed);
      }
    }
  });

  test("is caught by a test that its promise names", () => {
    const elsewhere = saboteurs.filter(({ breaks, caughtBy }) => {
      const { tests = [] } = guarantees.find(({ id }) => id === breaks) ?? {};
      return !tests.some(({ file, title }) => file === caughtBy.file && title === caughtBy.title);
    });
    expect(elsewhere.map(({ name, breaks }) => `${breaks}: ${name}`)).toEqual([]);
  });

  test.each([
    "SyntaxError: Unexpected token ';'",
    "ReferenceError: held is not defined",
    "TypeError: held is not a function",
    'error: syntax error at or near "where"',
    'error: column "x" does not exist',
    "Error: Test timed out in 30000ms.",
  ])("is not caught by code that does not run, or hangs: %s", (failure) => {
    expect(saboteurs.filter(({ caught }) => caught.test(failure))).toEqual([]);
  });

  test("whose text is not there, or there twice, is refused", () => {
    const edit = { file: "a.ts", from: "x", to: "y" };
    expect(edited("a x b", edit)).toBe("a y b");
    expect(() => edited("a b", edit)).toThrow("a.ts has this 0 times, not once: x");
    expect(() => edited("x x", edit)).toThrow("2 times");
  });
});
