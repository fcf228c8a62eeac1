import { expect, test } from "vitest";
import type { TestDatabase } from "../../helpers/database.ts";
import { tableDigests } from "../../helpers/tableDigests.ts";
import { bookpostEach } from "./bookpost.ts";

/** What is wrong, the command line, and a part of what it is told. */
export type RefusedLine = readonly [what: string, line: readonly string[], says: string];

/** One test: each line is refused with one sentence and exit code 2, and all of them together change nothing. */
export function testRefusals(db: TestDatabase, name: string, lines: readonly RefusedLine[]): void {
  test(name, async () => {
    const before = await tableDigests(db.pool);
    const ended = await bookpostEach(
      lines.map(([, line]) => line),
      { DATABASE_URL: db.url },
    );
    const told = ended.map(({ code, stdout, stderr }, i) => {
      const [what, , says = ""] = lines[i] ?? [];
      const sentences = stderr.trimEnd().split("\n");
      const isClear = sentences.length === 1 && stderr.includes(says) && stdout === "";
      return { what, code, told: isClear ? says : stderr || stdout };
    });
    expect(told).toEqual(lines.map(([what, , says]) => ({ what, code: 2, told: says })));
    expect(await tableDigests(db.pool)).toEqual(before);
  });
}
