import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Sandbox } from "../../../src/sandbox/sandbox.ts";
import type { Scenario } from "../../../src/sandbox/scenario.ts";
import { startSandbox } from "../../../src/sandbox/server.ts";
import { judge as judgeByLog } from "../../harness/judge.ts";
import type { Ending } from "../../harness/procs.ts";
import { chanceFrom } from "../../helpers/chance.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import {
  startWorkerProcess,
  type WorkerOptions,
  type WorkerProcess,
} from "../../helpers/workerProcess.ts";
import { judgeWorld } from "../judgeWorld.ts";
import { environmentOf, makeRoom } from "../kills/run.ts";
import { startWorld, type World } from "../world.ts";

/** Real workers on a database of their own, parcels on the move: for a test that does something to the workers. */
export interface Scene {
  readonly db: TestDatabase;
  readonly sandbox: Sandbox;
  /** One more worker; ended with the test. */
  start(
    options?: WorkerOptions & { readonly mishap?: Mishap },
  ): ReturnType<typeof startWorkerProcess>;
  /** One that is started again whenever it ends, as by a supervisor, until the test ends. */
  supervise(options?: Parameters<Scene["start"]>[0]): Promise<Supervised>;
  /** Sets parcels in motion (test/faults/world.ts). */
  move(seed: number): Promise<World>;
  /** Lets everything come to rest, which needs a worker that lives; what the judges have against it: `{}` when all is well. */
  finish(options?: {
    /** False where the database's times are not the carrier's. */
    readonly byLog?: boolean;
  }): Promise<Readonly<Record<string, unknown[]>>>;
}

export interface Supervised {
  /** Null: between two lives. */
  worker(): WorkerProcess | null;
  /** How its lives have ended so far. */
  readonly endings: readonly Ending[];
}

/** See mishap.ts. */
export interface Mishap {
  readonly kind: "block" | "throw" | "reject" | "fill";
  readonly number?: string;
}

/** Twelve digits, as FedEx's test numbers. */
export function fedexNumber(serial: number): string {
  return `9999${String(serial).padStart(8, "0")}`;
}

/** A parcel on its way, scanned an hour ago. */
export function onItsWay(): Scenario {
  const at = new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+/, "");
  return { steps: [{ stage: "in_transit", at, city: "Lyon", country: "FR" }] };
}

/** What to give Node and a worker so that a mishap can happen in it. */
export function mishapOptions({ kind, number = "" }: Mishap) {
  return {
    nodeOptions: ["--import", join(import.meta.dirname, "mishap.ts")],
    environment: { MISHAP: kind, MISHAP_NUMBER: number },
  };
}

/** Opens one for this test. */
export async function openScene(): Promise<Scene> {
  const db = await createTestDatabase();
  const sandbox = await startSandbox();
  let world: World | null = null;
  onTestFinished(async () => {
    await sandbox.close();
    await db.drop();
  });
  await makeRoom(db);
  const launch: Scene["start"] = ({ mishap, ...options } = {}) => {
    const { nodeOptions, environment } = mishap
      ? mishapOptions(mishap)
      : { nodeOptions: [], environment: {} };
    return startWorkerProcess(
      db,
      { ...environmentOf(sandbox), ...environment },
      { ...options, nodeOptions: [...(options.nodeOptions ?? []), ...nodeOptions] },
    );
  };
  return {
    db,
    sandbox,
    async start(options) {
      const worker = await launch(options);
      onTestFinished(() => worker.close().then(() => {}));
      return worker;
    },
    async supervise(options) {
      const endings: Ending[] = [];
      let current: WorkerProcess | null = await launch(options);
      let isClosing = false;
      const living = (async () => {
        while (current !== null) {
          endings.push(await current.ended);
          current = null;
          if (!isClosing) current = await launch(options);
          if (isClosing) await current?.close();
        }
      })();
      onTestFinished(async () => {
        isClosing = true;
        await current?.close();
        await living;
      });
      return { worker: () => current, endings };
    },
    async move(seed) {
      // A dozen lookups a second: more would leave a machine of two cores no time for what the tests wait for.
      world = await startWorld({ db, sandbox, chance: chanceFrom(seed), perTick: 2 });
      return world;
    },
    async finish({ byLog = true } = {}) {
      await world?.settle();
      const own = world ? await judgeWorld(db, world.parcels) : {};
      const all = {
        ...own,
        ...(await judgeByLog({ db: db.pool, ...(byLog ? { log: sandbox.log } : {}) })),
      };
      return Object.fromEntries(
        Object.entries(all).filter(([, offenders]) => offenders.length > 0),
      );
    },
  };
}
