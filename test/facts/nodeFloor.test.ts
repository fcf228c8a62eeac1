import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

// What the installed packages say they need. Read from their files, for not all of them export package.json.

const ROOT = join(import.meta.dirname, "../..");

async function nodeOf(folder: string): Promise<string | undefined> {
  const text = await readFile(join(ROOT, folder, "package.json"), "utf8");
  return (JSON.parse(text) as { engines?: { node?: string } }).engines?.node;
}

test.each([
  ["graphile-worker", ">=22.18.0"],
  ["postgraphile", ">=22"],
  ["vitest", "^22.12.0 || ^24.0.0 || >=26.0.0"],
])("%s wants Node %s", async (name, range) => {
  expect(await nodeOf(`node_modules/${name}`)).toBe(range);
});

test("bookpost asks for no older Node than graphile-worker does, and this is none", async () => {
  expect(await nodeOf(".")).toBe(">=22.18");
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  expect(major > 22 || (major === 22 && minor >= 18)).toBe(true);
});
