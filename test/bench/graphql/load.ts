import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";

/** What is to be asked, by whom, and how hard. */
export interface Work {
  readonly origin: string;
  /** Asked in turn. */
  readonly requests: readonly {
    readonly path: string;
    readonly method: "GET" | "POST";
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | null;
  }[];
  /** Connections that are kept; each asks again as soon as it is answered, unless `perSecond` says otherwise. */
  readonly connections: number;
  readonly ms: number;
  /** Null: as many as they can. Else so many are begun in a second, evenly, whether or not the last is answered. */
  readonly perSecond: number | null;
}

export interface Load {
  readonly count: number;
  readonly failed: number;
  readonly seconds: number;
  /** Milliseconds, sorted; of a given rate from when it was to begin, so that waiting counts. */
  readonly latencies: readonly number[];
  readonly bytes: number;
}

/** Asks and measures; one request that is not answered with 200 and no errors is counted as failed. */
async function load(work: Work): Promise<Load> {
  const pool = new Pool(work.origin, { connections: work.connections, pipelining: 1 });
  const latencies: number[] = [];
  let [next, failed, bytes] = [0, 0, 0];

  async function ask(from: number): Promise<void> {
    const request = work.requests[next++ % work.requests.length];
    if (!request) throw new Error("there is nothing to ask");
    const { statusCode, body } = await pool.request(request);
    const answer = Buffer.from(await body.arrayBuffer());
    latencies.push(performance.now() - from);
    bytes += answer.length;
    if (statusCode !== 200 || answer.includes('"errors"')) failed++;
  }

  const began = performance.now();
  const until = began + work.ms;
  if (work.perSecond === null)
    await Promise.all(
      Array.from({ length: work.connections }, async () => {
        while (performance.now() < until) await ask(performance.now());
      }),
    );
  else {
    const gap = 1_000 / work.perSecond;
    const running: Promise<void>[] = [];
    for (let due = began; due < until; due += gap) {
      await sleep(Math.max(0, due - performance.now()));
      running.push(ask(due));
    }
    await Promise.all(running);
  }
  const seconds = (performance.now() - began) / 1_000;
  await pool.close();
  return {
    count: latencies.length,
    failed,
    seconds,
    latencies: latencies.sort((a, b) => a - b),
    bytes,
  };
}

process.on("message", (work: Work) => {
  load(work).then(
    (result) => process.send?.(result),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
