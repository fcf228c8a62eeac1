import pg from "pg";

/** Whose books the bench reads. */
export interface Owner {
  readonly id: string;
  /** One of her books. */
  readonly bookId: string;
}

/** Scans of each parcel. Chosen: what a domestic parcel has half-way. */
const SCANS = 8;

/** How many rows: owners, books of each, and of a dealer beside them; 0: there is no dealer. */
export interface HowMany {
  readonly owners: number;
  readonly books: number;
  readonly dealersBooks?: number;
}

export interface Owners {
  /** 200 at most. */
  readonly collectors: readonly Owner[];
  readonly dealer: Owner | null;
}

/** Statements that each make a family of rows, in the order in which keys refer to them. */
const statements = ({ owners, books, dealersBooks = 0 }: HowMany) => [
  `insert into bookpost.users (app_user_id, name) select 'bench ' || n, 'Owner ' || n from generate_series(1, ${owners}) n
   union all select 'dealer', 'Dealer' where ${dealersBooks} > 0`,
  `insert into bookpost.books (owner_id, title, author, declared_value, declared_currency, app_book_id, created_at)
   select u.id, 'Volume ' || n || ' of a set', 'Somebody Who Writes', 20 + n, 'EUR', u.app_user_id || '-' || n,
     now() - n * interval '1 hour' - random() * interval '1 hour'
   from bookpost.users u cross join lateral generate_series(1, case u.app_user_id when 'dealer' then ${dealersBooks} else ${books} end) n`,
  // Of six carriers, as the bench "isolation" has them; a sixth under way is due for delivery.
  `insert into bookpost.parcels (carrier_code, tracking_number, status, status_version, status_changed_at, estimated_from, estimated_until, created_at)
   select (array['ups', 'postnl', 'canada_post', 'dhl', 'usps', 'la_poste'])[1 + b.n % 6], 'BENCH' || lpad(b.n::text, 9, '0'),
     case when b.n % 6 = 0 then 'out_for_delivery' else 'in_transit' end, 2, b.created_at + interval '1 hour',
     b.created_at + interval '72 hours', b.created_at + interval '96 hours', b.created_at
   from (select b.*, row_number() over (order by b.id) as n from bookpost.books b) b`,
  `insert into bookpost.parcel_books (book_id, parcel_id, owner_id, started_at, first_synced_at)
   select b.id, p.id, b.owner_id, b.created_at, b.created_at
   from (select b.*, row_number() over (order by b.id) as n from bookpost.books b) b
   join bookpost.parcels p on p.tracking_number = 'BENCH' || lpad(b.n::text, 9, '0')`,
  `insert into bookpost_private.checks (parcel_id, api_code, next_check_at, last_looked_at, last_answered_at, last_outcome)
   select p.id, c.api_code, now() + interval '1 day', now() - interval '10 minutes', now() - interval '10 minutes', 'unchanged'
   from bookpost.parcels p join bookpost.carriers c on c.code = p.carrier_code`,
  `insert into bookpost.tracking_events
     (parcel_id, identity, occurred_at, local_time, time_zone, raw_time, status, raw_code, description, location, country_code, sort_at, sort_rank)
   select p.id, 'scan ' || n, t.at, t.at at time zone 'UTC', 'UTC', t.at::text, 'in_transit', 'I',
     'Your parcel is on its way to the next depot', (array['Bath', 'Leeds', 'York', 'Lille', 'Ghent'])[1 + n % 5], 'GB', t.at, 0
   from bookpost.parcels p cross join generate_series(1, ${SCANS}) n
   cross join lateral (select p.created_at + n * interval '20 minutes' as at) t`,
];

/** Owners with their books, in a parcel each, with scans, a check and nothing due. The planner is told. */
export async function makeBooks(url: string, howMany: HowMany): Promise<Owners> {
  // Not of a pool of ours: their statements may take seconds only.
  const client = new pg.Client(url);
  await client.connect();
  try {
    for (const sql of statements(howMany)) await client.query(sql);
    await client.query("vacuum (analyze)");
    const ownersWhere = async (condition: string) =>
      (
        await client.query<Owner>(
          `select distinct on (u.id) u.id, b.id as "bookId"
           from bookpost.users u join bookpost.books b on b.owner_id = u.id where ${condition} order by u.id limit 200`,
        )
      ).rows;
    const [dealer = null] = await ownersWhere("u.app_user_id = 'dealer'");
    return { collectors: await ownersWhere("u.app_user_id <> 'dealer'"), dealer };
  } finally {
    await client.end();
  }
}
