/** A change as `bookpost.changes_since` tells it. */
export interface ToldChange {
  /** Where to go on after this change. */
  readonly cursor: string;
  readonly userId: string;
  readonly kind: "book" | "parcel" | "notification";
  readonly bookId: string | null;
  readonly parcelId: string | null;
  readonly notificationId: string | null;
  /** ISO 8601, with microseconds. */
  readonly changedAt: string;
}

export interface ChangesPage {
  readonly changes: readonly ToldChange[];
  readonly endCursor: string;
  readonly hasNextPage: boolean;
}

/** A client of ours or of PostGraphile's. */
interface Queryable {
  query(query: { text: string; values: unknown[] }): Promise<{ readonly rows: readonly unknown[] }>;
}

/**
 * The changes after a cursor (null: all that are kept) that the client's role
 * may see: `bookpost.changes_since`. Throws BP400 for what is no cursor, BP410
 * for one that cannot be gone on from.
 */
export async function changesSince(
  client: Queryable,
  after: string | null,
  first: number,
): Promise<ChangesPage> {
  const { rows } = await client.query({
    text: `select changes, end_cursor as "endCursor", has_next_page as "hasNextPage" from bookpost.changes_since($1, $2)`,
    values: [after, first],
  });
  return rows[0] as ChangesPage;
}
