import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const PRELOAD = fileURLToPath(new URL("../helpers/shiftClock.ts", import.meta.url));

/** What another process, whose clock is shifted, makes of an expression. */
function inShiftedProcess(shift: string, expression: string): unknown {
  const output = execFileSync(
    process.execPath,
    ["--import", PRELOAD, "--eval", `console.log(JSON.stringify(${expression}))`],
    { env: { ...process.env, CLOCK_SHIFT_MS: shift }, encoding: "utf8", stdio: "pipe" },
  );
  return JSON.parse(output);
}

const HOUR_MS = 3_600_000;

test.each([HOUR_MS, -HOUR_MS])(
  "a process whose clock is shifted by %i ms sees that time, however it asks, and no other change",
  (shiftMs) => {
    const before = Date.now();
    const seen = inShiftedProcess(
      String(shiftMs),
      "{ now: Date.now(), made: new Date().getTime(), said: Date.parse(Date()), given: new Date(86400000), parts: new Date(2020, 1), isDate: new Date() instanceof Date && new Date().constructor === Date, own: performance.timeOrigin + performance.now() }",
    ) as Record<string, number>;
    const after = Date.now();
    for (const shifted of [seen.now, seen.made]) {
      expect(shifted).toBeGreaterThanOrEqual(before + shiftMs);
      expect(shifted).toBeLessThanOrEqual(after + shiftMs);
    }
    // A text has no milliseconds.
    expect(Math.abs((seen.said ?? 0) - (seen.now ?? 0))).toBeLessThan(60_000);
    expect(seen).toMatchObject({
      given: "1970-01-02T00:00:00.000Z",
      parts: new Date(2020, 1).toISOString(),
      isDate: true,
    });
    expect(Math.abs((seen.own ?? 0) - before)).toBeLessThan(HOUR_MS / 2);
  },
);

test("a shift that is no number ends the process at once", () => {
  expect(() => inShiftedProcess("soon", "1")).toThrow('"soon"');
});
