import type { Queryable } from "../db/withTransaction.ts";

export interface BookDetails {
  readonly id: string;
  readonly title: string;
  readonly author: string | null;
  readonly ownerId: string;
  readonly ownerName: string | null;
  readonly appBookId: string | null;
  /** Decimal text. */
  readonly declaredValue: string | null;
  readonly declaredCurrency: string | null;
  readonly createdAt: Date;
}

/** One book, or null. */
export async function readBook(db: Queryable, bookId: string): Promise<BookDetails | null> {
  const { rows } = await db.query<BookDetails>(
    `select b.id, b.title, b.author, b.owner_id as "ownerId", u.name as "ownerName", b.app_book_id as "appBookId",
      b.declared_value::text as "declaredValue", b.declared_currency as "declaredCurrency", b.created_at as "createdAt"
    from bookpost.books b
    join bookpost.users u on u.id = b.owner_id
    where b.id = $1::uuid`,
    [bookId],
  );
  return rows[0] ?? null;
}
