import { withTransaction } from "../../src/db/withTransaction.ts";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import type { Scenario } from "../../src/sandbox/scenario.ts";
import type { Chance } from "../helpers/chance.ts";
import { makeUser } from "../helpers/makeUser.ts";
import type { TestDatabase } from "../helpers/template.ts";
import { trackBook } from "../helpers/trackBook.ts";
import { until } from "../helpers/until.ts";

/** A parcel's life as the carrier tells it; ever one scan more. */
const STORY = [
  "pre_transit",
  "in_transit",
  "in_transit",
  "exception",
  "in_transit",
  "out_for_delivery",
  "delivered",
] as const;

/** What status a parcel has when so many scans were told. */
export const STATUSES: readonly string[] = ["pending", ...STORY];

export interface Parcel {
  readonly id: string;
  readonly number: string;
  /** Scans that the carrier shows so far. */
  shown: number;
  /** Nobody waits for it any more. */
  isForsaken: boolean;
}

export interface World {
  readonly parcels: readonly Parcel[];
  /**
   * Stops moving, and waits until all that the carriers tell has arrived and
   * nothing is under way. Gives back how many parcels were there at three deaths
   * of workers in a row, and had to be let go on by a person.
   */
  settle(): Promise<number>;
}

/** Chosen: slow enough that lookups end in between, fast enough that something is always under way. */
const TICK_MS = 150;

export interface WorldOptions {
  readonly db: TestDatabase;
  readonly sandbox: Sandbox;
  readonly chance: Chance;
  /** How many parcels are on their way at a time. */
  readonly live?: number;
  /** How many of them are asked about each moment. */
  readonly perTick?: number;
  readonly carriers?: readonly string[];
  /** Who owns the books; left out: two people whom nothing but the app reaches. */
  readonly owners?: readonly [string, string];
  /** How likely it is, each moment, that someone deletes a book or stops its tracking; left out: never. */
  readonly leaving?: number;
  /** No further parcels after the first, when those have come home. */
  readonly isClosed?: boolean;
  /** Told of each parcel while the world is filled. */
  readonly onProgress?: (parcels: number) => void;
}

/**
 * Keeps parcels moving: every moment some get a scan more and are due, and who
 * has been delivered makes room for a new one. Time does not pass here, next
 * looks are moved; all else goes the way it always goes.
 */
export async function startWorld({
  db,
  sandbox,
  chance,
  live: target = 24,
  perTick = 10,
  carriers = ["ups", "fedex"],
  owners: given,
  leaving = 0,
  isClosed = false,
  onProgress = () => {},
}: WorldOptions): Promise<World> {
  const { pool } = db;
  await watchStatuses(db);
  const owners = given ?? [await makeUser(pool), await makeUser(pool)];
  const parcels: Parcel[] = [];
  let live: Parcel[] = [];
  let isMoving = true;

  async function add(): Promise<void> {
    const serial = parcels.length + 1;
    const carrier = carriers[serial % carriers.length] as string;
    const number = `LX${String(serial).padStart(9, "0")}FR`;
    sandbox.script(number, story());
    // In one commit, so that nobody looks before both owners wait for it.
    const id = await withTransaction(pool, async (client) => {
      const title = `Book ${serial}`;
      const { parcelId } = await trackBook(client, carrier, { number, title, owner: owners[0] });
      // Every third parcel holds a book of another owner too.
      if (serial % 3 === 0) await trackBook(client, carrier, { number, title, owner: owners[1] });
      return parcelId;
    });
    const parcel = { id, number, shown: 1, isForsaken: false };
    parcels.push(parcel);
    live.push(parcel);
  }

  const onTheWay = () => {
    live = live.filter(({ shown, isForsaken }) => shown < STORY.length && !isForsaken);
    return live;
  };

  async function fill(): Promise<void> {
    while (onTheWay().length < target && !(isClosed && parcels.length >= target)) {
      await add();
      onProgress(parcels.length);
    }
  }

  async function tick(): Promise<void> {
    await fill();
    const candidates = onTheWay();
    if (candidates.length === 0) return;
    const due = [...new Set(Array.from({ length: perTick }, () => chance.pick(candidates)))];
    for (const parcel of due)
      if (chance.happens(0.6)) {
        sandbox.advance(parcel.number);
        parcel.shown += 1;
      }
    await makeDue(due);
    if (chance.happens(leaving)) await leave(chance.pick(candidates));
  }

  /** Nobody waits for this one any more: its books are deleted, or their tracking is stopped. */
  async function leave(parcel: Parcel): Promise<void> {
    const { rows } = await pool.query<{ book_id: string }>(
      "select book_id from bookpost.parcel_books where parcel_id = $1",
      [parcel.id],
    );
    const books = rows.map(({ book_id }) => book_id);
    const isDeleted = chance.happens(0.5);
    // From here on its end is open, whether the next lines succeed or not.
    parcel.isForsaken = true;
    if (isDeleted) await pool.query("delete from bookpost.books where id = any ($1)", [books]);
    else await pool.query("select bookpost.stop_tracking(id) from unnest($1::uuid[]) id", [books]);
  }

  /** Asks for a look, as if its time had come. */
  async function makeDue(some: readonly Parcel[]): Promise<void> {
    await pool.query(
      `with held as (
         select parcel_id from bookpost_private.checks
         -- One that is due keeps its place: set to now again and again, it would always be the last.
         where parcel_id = any ($1) and next_check_at > clock_timestamp() order by parcel_id for no key update
       ), due as (
         update bookpost_private.checks c set next_check_at = clock_timestamp()
         from held where held.parcel_id = c.parcel_id returning 1
       )
       select bookpost_private.wake_dispatch() from (select count(*) from due) n`,
      [some.map(({ id }) => id)],
    );
  }

  await fill();
  const moving = (async () => {
    while (isMoving) {
      // While the server is down nobody calls us either.
      await tick().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  })();

  return {
    parcels,
    async settle() {
      isMoving = false;
      await moving;
      let letGoOn = 0;
      let left = "";
      await until(
        "everything that the carriers tell has arrived",
        async () => {
          letGoOn += await letGoOnByHand(db);
          await makeDue(await behind(db, parcels));
          await new Promise((resolve) => setTimeout(resolve, 500));
          const { rows } = await pool.query(
            // One that was stopped meanwhile is looked at no more.
            "select from bookpost_private.checks where crash_count > 0 and pause_reason is distinct from 'closed'",
          );
          const waiting = await behind(db, parcels);
          left = `${rows.length} were met by deaths, ${waiting.length} are behind: ${JSON.stringify(waiting.slice(0, 5))}`;
          return rows.length === 0 && waiting.length === 0;
        },
        // A limited API's backlog of thousands takes its time: 2,300 at 4 a second were seen after half an hour.
        900_000,
      ).catch((error: Error) => {
        throw new Error(`${error.message} (${left})`);
      });
      await until("nothing is under way any more", () => rest(db), 180_000);
      return letGoOn;
    },
  };
}

/**
 * Lets nothing more become due, since of thousands of parcels some always are,
 * and says whether the last lookup has ended.
 */
async function rest({ pool }: TestDatabase): Promise<boolean> {
  await pool.query(
    `with held as (
       select parcel_id from bookpost_private.checks
       where next_check_at < now() + interval '1 hour' order by parcel_id for no key update
     )
     update bookpost_private.checks c set next_check_at = now() + interval '2 hours'
     from held where held.parcel_id = c.parcel_id`,
  );
  const { rows } = await pool.query(
    `select from bookpost_private.leases
     union all select from graphile_worker.jobs j where j.task_identifier = 'track_book'`,
  );
  return rows.length === 0;
}

/** What a person does for a parcel that is set aside for good. */
async function letGoOnByHand({ pool }: TestDatabase): Promise<number> {
  const { rowCount } = await pool.query(
    `select bookpost.refresh_book(b.book_id)
     from (
       select distinct on (c.parcel_id) pb.book_id
       from bookpost_private.checks c join bookpost.parcel_books pb on pb.parcel_id = c.parcel_id
       where c.pause_reason = 'quarantined' and c.crash_count > 2
     ) b`,
  );
  return rowCount ?? 0;
}

/** Parcels of which the database does not know all scans yet, or which were set aside. */
async function behind(db: TestDatabase, parcels: readonly Parcel[]): Promise<Parcel[]> {
  const { rows } = await db.pool.query<{ parcel_id: string; scans: number; is_due: boolean }>(
    `select p.id as parcel_id, count(e.parcel_id)::integer as scans, c.crash_count > 0 as is_due
     from bookpost.parcels p
     join bookpost_private.checks c on c.parcel_id = p.id
     left join bookpost.tracking_events e on e.parcel_id = p.id
     group by p.id, c.crash_count`,
  );
  const known = new Map(rows.map((row) => [row.parcel_id, row]));
  return parcels.filter(({ id, shown, isForsaken }) => {
    if (isForsaken) return false;
    const row = known.get(id);
    return row === undefined || row.scans < shown || row.is_due;
  });
}

function story(): Scenario {
  const start = Date.now() - STORY.length * 3_600_000;
  return {
    steps: STORY.map((stage, i) => ({
      stage,
      at: `${new Date(start + i * 3_600_000).toISOString().slice(0, 19)}Z`,
      city: "Lyon",
      country: "FR",
    })),
  };
}

/** Each status a parcel ever had, with the transaction that gave it: a witness that bookpost knows nothing of. */
async function watchStatuses({ pool }: TestDatabase): Promise<void> {
  await pool.query(`
    create table public.status_witness (
      parcel_id uuid not null, version integer not null, status text not null,
      transaction_id text not null default pg_current_xact_id()::xid::text, primary key (parcel_id, version)
    );
    create function public.tg_witness_status() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    begin
      insert into public.status_witness (parcel_id, version, status) values (NEW.id, NEW.status_version, NEW.status);
      return null;
    end $$;
    create trigger witness_status after update of status_version on bookpost.parcels
      for each row when (OLD.status_version is distinct from NEW.status_version) execute function public.tg_witness_status();
  `);
}
