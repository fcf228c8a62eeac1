import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { bookpost, bookpostAlone, bookpostEach } from "./bookpost.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpostAlone(args, { DATABASE_URL: db.url });

test("a reader that stops reading ends the command quietly", async () => {
  const bin = join(import.meta.dirname, "../../../src/bin/bookpost.js");
  const child = spawn(process.execPath, [bin, "sql", "select * from generate_series(1, 100000)"], {
    env: { ...process.env, DATABASE_URL: db.url },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  child.stdout.once("data", () => child.stdout.destroy());
  expect(await text(child.stderr)).toBe("");
  expect(await exited).toEqual([0, null]);
});

test("a reader that is slow gets all of it", async () => {
  const { code, stdout } = await run("sql", "select * from generate_series(1, 50000)");
  expect(code).toBe(0);
  expect(stdout.trimEnd().split("\n")).toHaveLength(50_002);
});

test("a title cannot steer the terminal", async () => {
  await trackBook(db.pool, "dhl", { title: "\u001b[31mred\u202e \u0007bell" });
  const { stdout } = await run("list");
  expect(stdout).toContain("[31mred");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
  expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});

test("output that is not for a terminal has no colour", async () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how colours begin.
  expect((await run("circuits")).stdout).not.toMatch(/\u001b/);
});

test("with --json an error is one JSON object on stderr", async () => {
  const lines: [line: string[], code: string][] = [
    [["show", "nope", "--json"], "UNKNOWN_BOOK"],
    [["--json", "lst"], "USAGE"],
    [["list", "--colour", "--json"], "USAGE"],
    [["--json"], "USAGE"],
  ];
  const ended = await bookpostEach(
    lines.map(([line]) => line),
    { DATABASE_URL: db.url },
  );
  for (const [i, { code, stdout, stderr }] of ended.entries()) {
    const error = { code: lines[i]?.[1], message: expect.stringMatching(/\.$/) };
    expect({ code, stdout, stderr: JSON.parse(stderr) }).toEqual({
      code: 2,
      stdout: "",
      stderr: { error },
    });
  }
});

test("help is no error, an unknown command is, and no command at all", async () => {
  const [help, version, ofCommand, unknown, nothing] = await bookpostEach([
    ["--help"],
    ["--version"],
    ["track", "--help"],
    ["lst"],
    [],
  ]);
  expect([help?.code, version?.code, ofCommand?.code]).toEqual([0, 0, 0]);
  expect(help?.stdout).toContain("doctor");
  expect(version?.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(ofCommand?.stdout).toContain("never guessed");
  expect(unknown).toMatchObject({ code: 2, stdout: "" });
  expect(unknown?.stderr).toContain("Did you mean list?");
  expect(nothing).toMatchObject({ code: 2, stdout: "" });
  expect(nothing?.stderr).toContain("Usage: bookpost");
});

test("every command takes --json", async () => {
  const { stdout } = await bookpost(["--help"]);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) .*$/gm)]
    .map((match) => match[1] ?? "")
    .filter((name) => name !== "help");
  expect(commands).toContain("url");
  const helps = await bookpostEach(commands.map((name) => [name, "--help"]));
  expect(helps.filter((help) => !help.stdout.includes("--json"))).toEqual([]);
});
