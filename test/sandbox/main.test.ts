import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const MAIN = fileURLToPath(new URL("../../src/sandbox/main.ts", import.meta.url));

function run(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  return child;
}

test("by itself it prints what belongs into .env, answers, and ends on SIGTERM with 0", async () => {
  const child = run("--port", "0");
  const [chunk] = await once(child.stdout.setEncoding("utf8"), "data");
  const [, base] = /^UPS_BASE_URL=(http:\/\/127\.0\.0\.1:\d+)\/api$/m.exec(chunk) ?? [];
  expect((await fetch(`${base}/_sandbox/log`)).status).toBe(200);
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
});

test.each([
  [["--port", "seventy"], '"seventy"'],
  [["--port", "70000"], '"70000"'],
  [["--speed", "9"], "--speed"],
])("%j is refused with exit code 2 and names the value", async (args, named) => {
  const child = run(...args);
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  expect(code).toBe(2);
  expect(said).toContain(named);
});
