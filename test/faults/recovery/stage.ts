import type { Sandbox } from "../../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../../src/sandbox/server.ts";
import { type Lane, openLane } from "../../harness/lane.ts";
import { type PgBox, type PgBoxOptions, startPgBox } from "../../harness/pgbox.ts";
import { chanceFrom } from "../../helpers/chance.ts";
import type { TestDatabase } from "../../helpers/template.ts";
import { judgeWorld } from "../judgeWorld.ts";
import { environmentOf, makeRoom } from "../kills/run.ts";
import { startWorld, type World } from "../world.ts";

/** Real Postgres, real workers behind lines, parcels on the move: for a test that breaks one and takes the time. */
export interface Stage {
  readonly box: PgBox;
  readonly db: TestDatabase;
  readonly sandbox: Sandbox;
  readonly lanes: readonly Lane[];
  /** Lets everything come to rest; what the judge has against it. */
  finish(): Promise<Readonly<Record<string, unknown[]>>>;
  close(): Promise<void>;
}

/** @param server what kind of Postgres; left out: the embedded one */
export async function openStage(
  lanes: number,
  seed: number,
  server: PgBoxOptions = {},
): Promise<Stage> {
  // Eight workers may take more than the default of 100.
  const settings = { max_connections: "200", ...server.settings };
  const box = await startPgBox({ ...server, settings });
  const sandbox = await startSandbox();
  const opened: Lane[] = [];
  let world: World | null = null;
  const db = await box.createMigratedDatabase();
  await makeRoom(db);
  // Workers die here as they never do: parcels that were under way at two deaths would be set aside, which has tests of
  // its own, and not be looked up elsewhere.
  await db.pool.query(
    "create or replace function bookpost_private.crashes_tolerated() returns integer language sql immutable parallel safe return 1000000",
  );
  opened.push(
    ...(await Promise.all(
      Array.from({ length: lanes }, () => openLane(db, environmentOf(sandbox))),
    )),
  );
  // Carriers take their time, so that every worker has something under way.
  sandbox.fault({ mode: "slow", ms: 300, kind: "lookup" });
  // Three lookups a second for each worker: the few that live, and the places in flight that their APIs have, must be able to
  // take what the dead had. With five times as many, what was freed waited for its turn for seconds more.
  const perTick = 1 + Math.ceil(lanes / 2);
  world = await startWorld({ db, sandbox, chance: chanceFrom(seed), live: 40, perTick });
  return {
    box,
    db,
    sandbox,
    lanes: opened,
    async finish() {
      await world.settle();
      return judgeWorld(db, world.parcels);
    },
    async close() {
      await Promise.all(opened.map((lane) => lane.close()));
      await sandbox.close();
      await box.close();
    },
  };
}

/** What one worker process has under way. */
export interface Held {
  readonly workerId: string;
  readonly lookups: readonly { readonly id: string; readonly number: string }[];
  /** The numbers of parcels whose jobs it has fetched and not begun. */
  readonly waiting: readonly string[];
  /** When this was so, by the database's clock. */
  readonly at: Date;
}

/** By its process id; null where it has not beaten yet. */
export async function heldBy({ pool }: TestDatabase, processId: number): Promise<Held | null> {
  const { rows } = await pool.query<Held>(
    `select w.id as "workerId", clock_timestamp() as at, (
       select coalesce(json_agg(json_build_object('id', l.lookup_id, 'number', p.tracking_number)), '[]')
       from bookpost_private.leases l join bookpost.parcels p on p.id = l.parcel_id
       where l.worker_id = w.id
     ) as lookups, array(
       select p.tracking_number
       from graphile_worker.jobs j
       join bookpost.parcels p on j.key = 'parcel:' || p.id
       join bookpost_private.checks c on c.parcel_id = p.id
       where j.locked_by = w.id and c.next_check_at <= clock_timestamp()
         and not exists (select from bookpost_private.leases l where l.parcel_id = p.id)
     ) as waiting
     from bookpost_private.workers w where w.process_id = $1 order by w.started_at desc limit 1`,
    [processId],
  );
  return rows[0] ?? null;
}

/**
 * Whether what it had is in other hands: nothing is its any more, and each parcel was asked about since, or had its answer
 * written down at the last moment; and of those that only waited none is still due as it was.
 */
export async function isTakenOver(
  { db, sandbox }: Pick<Stage, "db" | "sandbox">,
  { workerId, lookups, waiting, at }: Held,
  since: number,
): Promise<boolean> {
  if (!(await isFreed(db, workerId))) return false;
  const { rows } = await db.pool.query<{ id: string }>(
    "select id from bookpost_private.lookups where id = any ($1) and outcome <> 'interrupted'",
    [lookups.map(({ id }) => id)],
  );
  const ended = new Set(rows.map(({ id }) => id));
  const left = lookups.filter(({ id }) => !ended.has(id)).map(({ number }) => number);
  const { rows: due } = await db.pool.query<{ number: string }>(
    `select p.tracking_number as number from bookpost.parcels p join bookpost_private.checks c on c.parcel_id = p.id
     where p.tracking_number = any ($1) and c.next_check_at <= $2`,
    [waiting, at],
  );
  return areAskedAgain(sandbox, [...left, ...due.map(({ number }) => number)], since);
}

/** Whether nothing is locked or leased by a worker any more. */
export async function isFreed({ pool }: TestDatabase, workerId: string): Promise<boolean> {
  const { rows } = await pool.query(
    `select from bookpost_private.leases where worker_id = $1
     union all select from graphile_worker.jobs where locked_by = $1`,
    [workerId],
  );
  return rows.length === 0;
}

/** Whether each of them was asked about since. */
function areAskedAgain(sandbox: Sandbox, numbers: readonly string[], since: number): boolean {
  const asked = new Set(
    sandbox.log
      .filter(({ monotonic, kind }) => kind === "lookup" && monotonic > since)
      .flatMap(({ number, numbers: several = [] }) => [
        ...several,
        ...(number === null ? [] : [number]),
      ]),
  );
  return numbers.every((number) => asked.has(number));
}
