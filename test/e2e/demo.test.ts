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
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: join(clone, ".compiled") },
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

let ran: ReturnType<typeof demo> | undefined;
/** The demo takes long; each test looks at one thing of the same run. */
const theDemo = () => {
  ran ??= demo("--speed", "5");
  return ran;
};

test("a dozen books arrive, while a carrier goes down, its circuit opens, the others carry on and a probe closes it", async () => {
  const { code, lines } = await theDemo();
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
  const ends = lines.filter((line) => /^[^\s:][^':]*: (delivered|return to sender)/.test(line));
  expect(new Set(ends.map((line) => line.split(":")[0])).size).toBe(12);
  const requests = lines.find((line) => line.startsWith("Requests: ")) ?? "";
  const asked = [...requests.matchAll(/(\w+) \d+/g)].map(([, api]) => api);
  expect(asked.sort()).toEqual(adapters.map(({ code }) => code).sort());
  expect(await findEmbeddedPostgres(join(clone, ".postgres/demo"))).toBeNull();
}, 120_000);

/** What arrived, as the demo prints it: the mail server's and the provider's own word. */
function arrivals(lines: readonly string[], channel: "email" | "text") {
  return lines.flatMap((line) => {
    const [, name, headline = ""] = RegExp(`^${channel} to ([^:]+): (.*)$`).exec(line) ?? [];
    const [, title] = /'(.+)'/.exec(headline) ?? [];
    return name === undefined ? [] : [{ name, title, headline }];
  });
}

test("the owner of each book is told by email of each stage once, up to the last", async () => {
  const { lines } = await theDemo();
  const mails = arrivals(lines, "email");
  const headlines = mails.map(({ headline }) => headline);
  expect(headlines).toEqual([...new Set(headlines)]);
  const byTitle = Map.groupBy(mails, ({ title }) => title);
  expect(byTitle.size).toBe(12);
  for (const [title, ofBook] of byTitle) {
    expect(new Set(ofBook.map(({ name }) => name)).size, title).toBe(1);
    const ends = ofBook.filter(({ headline }) => /delivered|return|back/.test(headline));
    expect(ends, title).toEqual([ofBook.at(-1)]);
  }
  // The beginning of what it says, on a line of its own.
  expect(lines[lines.findIndex((line) => line.startsWith("email to ")) + 1]).toMatch(/^ {4}\S/);
  const counted = lines.find((line) => line.startsWith("Messages: "));
  expect(counted).toContain(`${mails.length} by email, `);
}, 120_000);

test("who has a verified number is told by text message as well, three times in an hour and no more", async () => {
  const { lines } = await theDemo();
  const texts = arrivals(lines, "text");
  expect(texts.map(({ name }) => name)).toEqual(["Frank", "Frank", "Frank"]);
  const headlines = texts.map(({ headline }) => headline);
  expect(new Set(headlines).size).toBe(3);
  expect(lines.find((line) => line.startsWith("Messages: "))).toMatch(
    /, 3 by text message; [1-9]\d* wait for a digest/,
  );
}, 120_000);

test("a speed that makes no sense is refused and nothing is started", async () => {
  const { code, lines } = await demo("--speed", "fast");
  expect(code).toBe(2);
  expect(lines[0]).toBe('--speed must be a number from 0.1 to 20; "fast" is not.');
  expect(await findEmbeddedPostgres(join(clone, ".postgres/demo"))).toBeNull();
});
