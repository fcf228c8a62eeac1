import type { Queryable } from "../db/withTransaction.ts";
import { LISTED_BOOK_COLUMNS, type ListedBook } from "./listBooks.ts";

/** Books whose present parcel has a status, the newest change of status first. A statement of its own, because it reads from the parcels' index. */
export async function listBooksWithStatus(
  db: Queryable,
  status: string,
  limit: number,
): Promise<ListedBook[]> {
  const { rows } = await db.query<ListedBook>(
    `select ${LISTED_BOOK_COLUMNS}
    from bookpost.parcels p
    join bookpost.parcel_books pb on pb.parcel_id = p.id
    join bookpost.books b on b.id = pb.book_id
    where p.status = $1 and p.id = bookpost_private.current_parcel(b.id)
    order by p.status_changed_at desc, p.id, b.id
    limit $2`,
    [status, limit],
  );
  return rows;
}
