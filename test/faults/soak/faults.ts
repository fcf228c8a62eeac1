import { setTimeout as sleep } from "node:timers/promises";
import { persist } from "../../../src/db/persist.ts";
import type { Sandbox } from "../../../src/sandbox/sandbox.ts";
import type { Lane } from "../../harness/lane.ts";
import type { PgBox } from "../../harness/pgbox.ts";
import type { Chance } from "../../helpers/chance.ts";
import type { TestDatabase } from "../../helpers/template.ts";

export interface Place {
  readonly box: PgBox;
  readonly db: TestDatabase;
  readonly sandbox: Sandbox;
  readonly lanes: readonly Lane[];
  readonly carriers: readonly string[];
  readonly chance: Chance;
}

/** One thing that goes wrong, and is well again when the promise is kept. */
export interface SoakFault {
  readonly name: string;
  readonly weight: number;
  commit(place: Place): Promise<void>;
}

const PURPOSES = ["queue", "worker", "housekeeping", "heartbeat"] as const;

const lineOf = ({ lanes, chance }: Place) => chance.pick(lanes).line;

/** A line is ill for a while. The worker may end for it; its supervisor starts it again. */
function illLine(
  name: string,
  weight: number,
  add: (line: Lane["line"], place: Place) => { remove(): void },
  ms: number,
): SoakFault {
  return {
    name,
    weight,
    async commit(place) {
      const toxic = add(lineOf(place), place);
      await sleep(ms);
      toxic.remove();
    },
  };
}

/** A carrier is ill for a while. */
function illCarrier(name: string, fault: Omit<Parameters<Sandbox["fault"]>[0], "api">): SoakFault {
  return {
    name,
    weight: 3,
    async commit({ sandbox, carriers, chance }) {
      sandbox.fault({ ...fault, api: chance.pick(carriers) });
      await sleep(8_000);
      sandbox.clearFaults();
    },
  };
}

export const SOAK_FAULTS: readonly SoakFault[] = [
  {
    name: "a worker is killed",
    weight: 8,
    commit: async ({ lanes, chance }) => chance.pick(lanes).worker()?.kill("SIGKILL"),
  },
  {
    name: "a worker is asked to stop",
    weight: 4,
    commit: async ({ lanes, chance }) => chance.pick(lanes).worker()?.kill("SIGTERM"),
  },
  {
    name: "a worker is frozen for 9 seconds",
    weight: 4,
    async commit({ lanes, chance }) {
      const worker = chance.pick(lanes).worker();
      worker?.pause();
      await sleep(9_000);
      worker?.resume();
    },
  },
  {
    name: "sessions are ended",
    weight: 6,
    commit: async ({ box, chance }) =>
      void (await box.terminate(`application_name = 'bookpost ${chance.pick(PURPOSES)}'`)),
  },
  {
    name: "a worker's connections are reset",
    weight: 6,
    commit: async (place) => {
      for (const connection of lineOf(place).connections) connection.cut();
    },
  },
  illLine(
    "one connection falls silent for good",
    4,
    (line, { chance }) =>
      line.add({ type: "blackhole" }, { applicationName: `bookpost ${chance.pick(PURPOSES)}` }),
    5_000,
  ),
  illLine(
    "a host's link is silent for 10 seconds",
    3,
    (line) => line.add({ type: "blackhole" }),
    10_000,
  ),
  illLine(
    "a link is slow",
    3,
    (line) => line.add({ type: "latency", latency: 150, jitter: 100 }),
    8_000,
  ),
  {
    name: "Postgres is killed, all of it",
    weight: 2,
    commit: ({ box }) => box.restart("crash"),
  },
  {
    name: "Postgres is stopped at once",
    weight: 2,
    commit: ({ box }) => box.restart("immediate"),
  },
  {
    name: "Postgres is away for 5 seconds",
    weight: 1,
    async commit({ box }) {
      await box.stop("fast");
      await sleep(5_000);
      await box.start();
    },
  },
  {
    name: "Postgres is frozen for 3 seconds",
    weight: 2,
    async commit({ box }) {
      box.pause();
      await sleep(3_000);
      box.resume();
    },
  },
  {
    name: "the queue is emptied",
    weight: 2,
    // Against workers that read and write them a truncate may come off worst in a deadlock.
    commit: async ({ db }) =>
      void (await persist(() =>
        db.pool.query(
          "truncate graphile_worker._private_jobs, graphile_worker._private_job_queues, graphile_worker._private_known_crontabs",
        ),
      )),
  },
  {
    name: "an app's transaction holds parcels for 4 seconds",
    weight: 3,
    async commit({ db }) {
      const client = await db.pool.connect();
      try {
        await client.query("begin");
        await client.query(
          "select from bookpost_private.checks where next_check_at is not null order by parcel_id limit 20 for update",
        );
        await sleep(4_000);
        await client.query("rollback");
      } finally {
        client.release(true);
      }
    },
  },
  illCarrier("a carrier answers 503", { mode: "status", status: 503 }),
  illCarrier("a carrier asks to slow down", {
    mode: "status",
    status: 429,
    retryAfter: "3",
    times: 5,
  }),
  illCarrier("a carrier hangs", { mode: "hang", times: 10 }),
  illCarrier("a carrier sends nonsense", { mode: "broken_json" }),
  illCarrier("a carrier is slow", { mode: "slow", ms: 2_000 }),
];
