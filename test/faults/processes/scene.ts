import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Sandbox } from "../../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../../src/sandbox/server.ts";
import { judge as judgeByLog } from "../../harness/judge.ts";
import { chanceFrom } from "../../helpers/chance.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { startWorkerProcess, type WorkerOptions } from "../../helpers/workerProcess.ts";
import { judge } from "../kills/judge.ts";
import { environmentOf, makeRoom } from "../kills/run.ts";
import { startWorld, type World } from "../kills/world.ts";

/** Real workers on a database of their own, parcels on the move: for a test that does something to the workers. */
export interface Scene {
  readonly db: TestDatabase;
  readonly sandbox: Sandbox;
  /** One more worker; ended with the test. */
  start(
    options?: WorkerOptions & { readonly mishap?: Mishap },
  ): ReturnType<typeof startWorkerProcess>;
  /** Sets parcels in motion (test/faults/kills/world.ts). */
  move(seed: number): Promise<World>;
  /** Lets everything come to rest, which needs a worker that lives; what the judges have against it: `{}` when all is well. */
  finish(): Promise<Readonly<Record<string, unknown[]>>>;
}

/** See mishap.ts. */
export interface Mishap {
  readonly kind: "block" | "throw" | "reject" | "fill";
  readonly number?: string;
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
  return {
    db,
    sandbox,
    async start({ mishap, ...options } = {}) {
      const { nodeOptions, environment } = mishap
        ? mishapOptions(mishap)
        : { nodeOptions: [], environment: {} };
      const worker = await startWorkerProcess(
        db,
        { ...environmentOf(sandbox), ...environment },
        { ...options, nodeOptions: [...(options.nodeOptions ?? []), ...nodeOptions] },
      );
      onTestFinished(() => worker.close().then(() => {}));
      return worker;
    },
    async move(seed) {
      world = await startWorld({ db, sandbox, chance: chanceFrom(seed) });
      return world;
    },
    async finish() {
      await world?.settle();
      const own = world ? await judge(db, world.parcels) : {};
      const all = { ...own, ...(await judgeByLog({ db: db.pool, log: sandbox.log })) };
      return Object.fromEntries(
        Object.entries(all).filter(([, offenders]) => offenders.length > 0),
      );
    },
  };
}
