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
  opened.push(
    ...(await Promise.all(
      Array.from({ length: lanes }, () => openLane(db, environmentOf(sandbox))),
    )),
  );
  // Carriers take their time, so that every worker has something under way.
  sandbox.fault({ mode: "slow", ms: 300, kind: "lookup" });
  world = await startWorld({ db, sandbox, chance: chanceFrom(seed), live: 60, perTick: 20 });
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
  readonly numbers: readonly string[];
}

/** By its process id; null where it has not beaten yet. */
export async function heldBy({ pool }: TestDatabase, processId: number): Promise<Held | null> {
  const { rows } = await pool.query<{ id: string; numbers: string[] }>(
    `select w.id, array(
       select p.tracking_number from bookpost_private.leases l join bookpost.parcels p on p.id = l.parcel_id
       where l.worker_id = w.id
     ) as numbers
     from bookpost_private.workers w where w.process_id = $1 order by w.started_at desc limit 1`,
    [processId],
  );
  return rows[0] ? { workerId: rows[0].id, numbers: rows[0].numbers } : null;
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
export function areAskedAgain(
  sandbox: Sandbox,
  numbers: readonly string[],
  since: number,
): boolean {
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
