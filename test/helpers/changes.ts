import type { Queryable } from "../../src/db/withTransaction.ts";
import { one } from "./one.ts";

/** A change as `bookpost.changes_since` tells it. */
export interface ToldChange {
  readonly cursor: string;
  readonly userId: string;
  readonly kind: "book" | "parcel" | "notification";
  readonly bookId: string | null;
  readonly parcelId: string | null;
  readonly notificationId: string | null;
  readonly changedAt: string;
}

export interface ChangesPage {
  readonly changes: ToldChange[];
  readonly endCursor: string;
  readonly hasNextPage: boolean;
}

/** The cursor of now. */
export async function latestCursor(db: Queryable): Promise<string> {
  return (await one<{ cursor: string }>(db, "select bookpost.latest_cursor() as cursor")).cursor;
}

/** One page of changes, with the rights of `db`. */
export function changesSince(
  db: Queryable,
  after: string | null,
  first = 100,
): Promise<ChangesPage> {
  return one<ChangesPage & Record<string, unknown>>(
    db,
    `select changes, end_cursor as "endCursor", has_next_page as "hasNextPage" from bookpost.changes_since($1, $2)`,
    [after, first],
  );
}

/** All changes after a cursor, page by page, and the cursor to go on from. */
export async function readOn(
  db: Queryable,
  after: string | null,
  first = 100,
): Promise<{ changes: ToldChange[]; cursor: string }> {
  const changes: ToldChange[] = [];
  let cursor = after;
  for (;;) {
    const page = await changesSince(db, cursor, first);
    changes.push(...page.changes);
    cursor = page.endCursor;
    if (!page.hasNextPage) return { changes, cursor };
  }
}
