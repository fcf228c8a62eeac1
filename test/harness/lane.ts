import { setTimeout as sleep } from "node:timers/promises";
import type { TestDatabase } from "../helpers/template.ts";
import { until } from "../helpers/until.ts";
import { startWorkerProcess, type WorkerProcess } from "../helpers/workerProcess.ts";
import { type Faultline, startFaultline } from "./faultline.ts";

/** A worker behind a line of its own, started again whenever it ends, as by a supervisor. */
export interface Lane {
  readonly line: Faultline;
  /** Null: between two lives. */
  worker(): WorkerProcess | null;
  close(): Promise<void>;
}

const isRunning = ({ child }: WorkerProcess) =>
  child.exitCode === null && child.signalCode === null;

export async function openLane(
  db: TestDatabase,
  environment: Record<string, string>,
): Promise<Lane> {
  const line = await startFaultline(db.url);
  let isClosing = false;
  let current: WorkerProcess | null = null;
  async function live(): Promise<void> {
    while (!isClosing) {
      const worker = await startWorkerProcess(
        { url: line.url(db.url), pool: db.pool },
        environment,
      ).catch(() => null);
      // It did not find the database; a supervisor waits a little, too.
      if (worker === null) await sleep(200);
      else {
        current = worker;
        if (isClosing) await worker.close();
        await worker.ended;
        current = null;
      }
    }
  }
  const living = live();
  await until("the lane's worker lives", async () => current !== null);
  return {
    line,
    // One that has exited may still have words under way, but is no worker any more.
    worker: () => (current !== null && isRunning(current) ? current : null),
    async close() {
      isClosing = true;
      await current?.close();
      await line.close();
      await living;
    },
  };
}
