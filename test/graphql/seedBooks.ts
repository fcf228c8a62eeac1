import type pg from "pg";

export interface SeededBook {
  readonly bookId: string;
  readonly parcelId: string;
}

/** A user of the app. */
export async function seedUser(pool: pg.Pool, name: string): Promise<string> {
  const { rows } = await pool.query<{ id: string }>(
    "insert into bookpost.users (name, app_user_id) values ($1, $1) returning id",
    [name],
  );
  return rows[0]?.id ?? "";
}

/** A book in a parcel, tracked as an app does it, with `events` scans and one notification. */
export async function seedBook(
  pool: pg.Pool,
  book: { owner: string; title: string; number: string; carrier?: string; events?: number },
): Promise<SeededBook> {
  await pool.query("select bookpost.track_book($1, $2, $3, owner => $4)", [
    book.title,
    book.carrier ?? "ups",
    book.number,
    book.owner,
  ]);
  const seeded = await findBook(pool, book);
  await pool.query(
    `insert into bookpost.tracking_events (parcel_id, identity, raw_time, raw_code, status, occurred_at, sort_at, sort_rank)
     select $1, 'scan ' || n, 'raw', 'I', 'in_transit', t, t, n
     from generate_series(1, $2::int) n, lateral (select timestamptz '2025-08-01 00:00Z' + n * interval '1 hour') x(t)
     on conflict do nothing`,
    [seeded.parcelId, book.events ?? 0],
  );
  await pool.query(
    `insert into bookpost.notifications (user_id, book_id, parcel_id, status, status_version)
     values ($1, $2, $3, 'in_transit', 1)`,
    [book.owner, seeded.bookId, seeded.parcelId],
  );
  return seeded;
}

async function findBook(
  pool: pg.Pool,
  book: { owner: string; title: string; number: string },
): Promise<SeededBook> {
  const { rows } = await pool.query<SeededBook>(
    `select pb.book_id as "bookId", pb.parcel_id as "parcelId"
     from bookpost.parcel_books pb
     join bookpost.books b on b.id = pb.book_id
     join bookpost.parcels p on p.id = pb.parcel_id
     where b.owner_id = $1 and b.title = $2 and p.tracking_number = $3`,
    [book.owner, book.title, book.number],
  );
  const [found] = rows;
  if (!found) throw new Error(`no book "${book.title}"`);
  return found;
}
