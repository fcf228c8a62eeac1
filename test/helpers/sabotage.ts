import type { Queryable } from "../../src/db/withTransaction.ts";
import { one } from "./one.ts";

/** A change to one of our functions: this text, which must occur exactly once, becomes that. */
export interface Edit {
  /** Its name with the schema. */
  readonly function: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Breaks functions of a test's own database on purpose, to see that a test
 * goes red. Fails where a text is not found: a saboteur that changes nothing
 * proves nothing. Gives back what puts the functions right again.
 */
export async function sabotage(
  db: Queryable,
  edits: readonly Edit[],
): Promise<() => Promise<void>> {
  const before = new Map<string, string>();
  const after = new Map<string, string>();
  for (const { function: name, from, to } of edits) {
    const definition = after.get(name) ?? (await definitionOf(db, name));
    if (!before.has(name)) before.set(name, definition);
    const parts = definition.split(from);
    if (parts.length !== 2)
      throw new Error(`${name} has this ${parts.length - 1} times, not once: ${from}`);
    after.set(name, parts.join(to));
  }
  for (const definition of after.values()) await db.query(definition);
  return async () => {
    for (const definition of before.values()) await db.query(definition);
  };
}

async function definitionOf(db: Queryable, name: string): Promise<string> {
  const { definition } = await one<{ definition: string }>(
    db,
    "select pg_get_functiondef($1::regproc) as definition",
    [name],
  );
  return definition;
}

/** What an edit puts where a session with `letPause` is to stop. */
export const PAUSE = "bookpost_private.pause_for_test()";
const KEY = 4711;

/** Makes the function that `PAUSE` calls: it stops only who asked for it, until `holdPauses` is given up. */
export async function makePause(db: Queryable): Promise<void> {
  await db.query(`
    create or replace function ${PAUSE} returns boolean language plpgsql as $$
    begin
      if current_setting('bookpost_test.pauses', true) = 'on' then
        perform pg_catalog.pg_advisory_xact_lock_shared(${KEY});
      end if;
      return true;
    end $$`);
}

/** This session stops at pauses. */
export async function letPause(db: Queryable): Promise<void> {
  await db.query("set bookpost_test.pauses = 'on'");
}

/** Whoever comes to a pause stops there. Gives back what lets them go on. */
export async function holdPauses(db: Queryable): Promise<() => Promise<unknown>> {
  await db.query("select pg_advisory_lock($1)", [KEY]);
  return () => db.query("select pg_advisory_unlock($1)", [KEY]);
}
