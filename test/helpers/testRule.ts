import type pg from "pg";
import { expect, test } from "vitest";
import { rolledBack, type TestDatabase } from "./database.ts";
import { type Edit, sabotage } from "./sabotage.ts";

/** One way to write the SQL wrongly, and in a word what is wrong with it. */
export type Saboteurs = Readonly<Record<string, Edit | readonly Edit[]>>;

/**
 * A test of a rule that SQL functions keep, in a transaction of its own; and,
 * for each saboteur, a test that the same scenario fails when they are broken
 * so. Only a failed expectation counts, or a constraint that notices: SQL that
 * raises anything else proves nothing.
 */
export function testRule(
  db: TestDatabase,
  rule: string,
  scenario: (client: pg.PoolClient) => Promise<void>,
  saboteurs: Saboteurs = {},
): void {
  test(rule, async () => scenario(await rolledBack(db)));
  for (const [wrong, edits] of Object.entries(saboteurs))
    test(`red where ${wrong}: ${rule}`, async () => {
      const client = await rolledBack(db);
      await sabotage(client, [edits].flat());
      expect(await failureOf(scenario(client))).toMatch(/^AssertionError|^error 23/);
    });
}

/** "AssertionError …" or "error 23514 …"; null where it passed. */
async function failureOf(work: Promise<void>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    const { name, code = "", message } = error as Error & { code?: string };
    return `${name} ${code} ${message}`;
  }
}
