import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { adapters } from "../../src/carriers/registry.ts";
import { findEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";
import { cloneProject } from "../helpers/cloneProject.ts";

let clone: string;

beforeAll(() => {
  clone = cloneProject();
});

afterAll(() => rmSync(clone, { recursive: true, force: true }));

async function demo(...args: string[]): Promise<{ code: number | null; lines: string[] }> {
  const child = spawn(process.execPath, [join(clone, "src/bin/demo.js"), ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      output += chunk;
    });
  const [code] = await once(child, "close");
  return { code, lines: output.split("\n") };
}

test("a dozen books arrive, while a carrier goes down, its circuit opens, the others carry on and a probe closes it", async () => {
  const { code, lines } = await demo("--speed", "5");
  expect(code, lines.join("\n")).toBe(0);
  const opened = lines.indexOf("circuit ups: open");
  const closed = lines.indexOf("circuit ups: closed", opened);
  expect(opened).toBeGreaterThan(0);
  expect(closed).toBeGreaterThan(opened);
  // In between the others' parcels moved, and their circuits did not.
  const between = lines.slice(opened, closed).join("\n");
  expect(between).toMatch(/^(Middlemarch|Germinal|Lalka|Dracula|Max Havelaar): /m);
  const circuits = lines.filter((line) => /^circuit (?!ups)/.test(line));
  expect(circuits.sort()).toEqual(
    adapters
      .filter(({ code }) => code !== "ups")
      .map(({ code }) => `circuit ${code}: closed`)
      .sort(),
  );
  expect(lines.some((line) => line.startsWith("usps is asked through pitney_bowes"))).toBe(true);
  const ends = lines.filter((line) => /: (delivered|return to sender)/.test(line));
  expect(new Set(ends.map((line) => line.split(":")[0])).size).toBe(12);
  const requests = lines.find((line) => line.startsWith("Requests: ")) ?? "";
  const asked = [...requests.matchAll(/(\w+) \d+/g)].map(([, api]) => api);
  expect(asked.sort()).toEqual(adapters.map(({ code }) => code).sort());
  expect(await findEmbeddedPostgres(join(clone, ".postgres/demo"))).toBeNull();
}, 120_000);

test("a speed that makes no sense is refused and nothing is started", async () => {
  const { code, lines } = await demo("--speed", "fast");
  expect(code).toBe(2);
  expect(lines[0]).toBe('--speed must be a number from 0.1 to 20; "fast" is not.');
  expect(await findEmbeddedPostgres(join(clone, ".postgres/demo"))).toBeNull();
});
