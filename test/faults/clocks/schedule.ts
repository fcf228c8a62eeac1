import { upsNumber } from "../../helpers/carrierNumbers.ts";
import type { TestDatabase } from "../../helpers/template.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { until } from "../../helpers/until.ts";
import { fedexNumber, onItsWay, type Scene } from "../processes/scene.ts";

/** What a test's own triggers have seen of the crontab: a witness that bookpost knows nothing of. */
export interface Schedule {
  /** The minutes for which the crontab had a dispatch queued, once for each time. */
  slots(): Promise<string[]>;
  /** Those that were not of their own time by the database's clock. */
  wrongSlots(): Promise<unknown[]>;
  /** Bookmarks that lay in the future when they were written. */
  bookmarksAhead(): Promise<unknown[]>;
  /** How many dispatches the sweep has asked for. */
  lateDispatches(): Promise<number>;
  /** How many dispatches have begun. */
  dispatches(): Promise<number>;
}

/** Begins to watch. */
export async function watchSchedule({ pool }: TestDatabase): Promise<Schedule> {
  await pool.query(`
    create table public.queued_witness (key text, slot timestamptz, at timestamptz not null default clock_timestamp());
    create function public.tg_witness_queued() returns trigger language plpgsql as $$
    begin
      if TG_OP = 'INSERT' or NEW.payload::text is distinct from OLD.payload::text then
        insert into public.queued_witness (key, slot) values (NEW.key, (NEW.payload -> '_cron' ->> 'ts')::timestamptz);
      end if;
      return null;
    end $$;
    create trigger witness_queued after insert or update on graphile_worker._private_jobs
      for each row when (NEW.key like 'dispatch%') execute function public.tg_witness_queued();

    create table public.bookmark_witness (identifier text, last_execution timestamptz, at timestamptz not null default clock_timestamp());
    create function public.tg_witness_bookmark() returns trigger language plpgsql as $$
    begin
      insert into public.bookmark_witness (identifier, last_execution) values (NEW.identifier, NEW.last_execution);
      return null;
    end $$;
    create trigger witness_bookmark after insert or update on graphile_worker._private_known_crontabs
      for each row execute function public.tg_witness_bookmark();

    create table public.dispatch_witness (at timestamptz not null default clock_timestamp());
    create function public.tg_witness_dispatch() returns trigger language plpgsql as $$
    begin
      if NEW.dispatched_at > clock_timestamp() - interval '1 minute' then
        insert into public.dispatch_witness default values;
      end if;
      return null;
    end $$;
    create trigger witness_dispatch after update on bookpost_private.dispatch_clock
      for each row execute function public.tg_witness_dispatch();
  `);
  const ask = async (sql: string) => (await pool.query(sql)).rows;
  const count = async (sql: string) => (await pool.query(sql)).rowCount ?? 0;
  return {
    slots: async () =>
      (await ask("select slot::text from public.queued_witness where slot is not null")).map(
        ({ slot }) => slot,
      ),
    wrongSlots: () =>
      ask(
        "select * from public.queued_witness where slot not between at - interval '1 minute' and at + interval '1 second'",
      ),
    bookmarksAhead: () =>
      ask("select * from public.bookmark_witness where last_execution > at + interval '1 second'"),
    lateDispatches: () =>
      count("select from public.queued_witness where key = 'dispatch:late' and slot is null"),
    dispatches: () => count("select from public.dispatch_witness"),
  };
}

/** Tracks a parcel that its carrier knows, and waits until a worker has looked; its id. */
export async function trackNumber({ db, sandbox }: Scene, serial: number): Promise<string> {
  const number = serial % 2 === 0 ? upsNumber(serial) : fedexNumber(serial);
  sandbox.script(number, onItsWay());
  const { parcelId } = await trackBook(db.pool, serial % 2 === 0 ? "ups" : "fedex", { number });
  await untilLookedUp(db, [parcelId], 1);
  return parcelId;
}

/** Waits until each was answered so many times at least. */
export async function untilLookedUp(
  { pool }: TestDatabase,
  parcelIds: readonly string[],
  times: number,
  deadlineMs = 60_000,
): Promise<void> {
  await until(
    `${parcelIds.length} parcels were answered ${times} times`,
    async () => {
      const { rows } = await pool.query(
        `select parcel_id from bookpost_private.lookups
         where parcel_id = any ($1) and outcome in ('updated', 'unchanged')
         group by parcel_id having count(*) >= $2`,
        [parcelIds, times],
      );
      return rows.length === parcelIds.length;
    },
    deadlineMs,
  );
}
