import type pg from "pg";

/** What Postgres said when it refused a statement. */
export interface Refusal {
  readonly code: string;
  readonly constraint: string | null;
  readonly message: string;
  readonly hint: string | null;
}

/** Why a promise of a query is refused; null where it is not. */
export async function refusalOf(work: Promise<unknown>): Promise<Refusal | null> {
  try {
    await work;
    return null;
  } catch (error) {
    const { code, constraint, message, hint } = error as Partial<Refusal>;
    if (!code) throw error;
    return { code, constraint: constraint ?? null, message: message ?? "", hint: hint ?? null };
  }
}

/** Tries a statement inside the client's transaction and undoes it: why it is refused, or null. */
export async function tryOut(
  client: pg.ClientBase,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Refusal | null> {
  await client.query("savepoint try_out");
  try {
    return await refusalOf(client.query(sql, [...values]));
  } finally {
    await client.query("rollback to savepoint try_out");
  }
}
