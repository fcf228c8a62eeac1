import { benchWorker, type Condition, type Reading } from "./benchWorker.ts";
import { openBenchDatabase } from "./openBenchDatabase.ts";
import { readOptions } from "./readOptions.ts";

/** Asked in turn; the first is what the others are compared with. */
const CONDITIONS: readonly (Condition & { readonly name: string })[] = [
  {
    name: "without trouble: the others have nothing due",
    hasOthersDue: false,
    areOthersTroubled: false,
    isHangHeld: false,
  },
  {
    name: "six well carriers, all busy",
    hasOthersDue: true,
    areOthersTroubled: false,
    isHangHeld: false,
  },
  {
    name: "one hangs, one answers 500, one throttles",
    hasOthersDue: true,
    areOthersTroubled: true,
    isHangHeld: false,
  },
  {
    name: "the same, and the circuit of the one that hangs never opens",
    hasOthersDue: true,
    areOthersTroubled: true,
    isHangHeld: true,
  },
];

/** Three more carriers that are well and busy share the machine; that is load, not trouble, and is told for comparison. */
const FIRST_TROUBLED = 2;

/** The promise: trouble elsewhere leaves the healthy carriers at least this much of their throughput. */
const PROMISED_RATIO = 0.95;

/**
 * What three troubled carriers cost three healthy ones: a real worker process,
 * a sandbox, and always more parcels due than can flow. All conditions take
 * turns in one run, and throughput is counted in the sandbox's own log.
 *
 * The run without trouble is the hardest to compare with: there the other
 * carriers have no parcels due, so all that the trouble causes (calls that
 * hang, refusals, jobs that come back) counts against us.
 */
export async function benchIsolation(args: readonly string[]): Promise<void> {
  const options = readOptions(
    {
      parcels: { default: 2_000, min: 10, max: 100_000 },
      seconds: { default: 25, min: 1, max: 600 },
      rounds: { default: 2, min: 1, max: 100 },
      // Three carriers then take 100 lookups a second: small machines manage that beside sandbox and Postgres.
      latency: { default: 300, min: 1, max: 10_000 },
      workers: { default: 1, min: 1, max: 10 },
      // 0: the worker's own default.
      concurrency: { default: 0, min: 0, max: 2_000 },
    },
    args,
  );
  const database = await openBenchDatabase();
  try {
    const bench = await benchWorker(database, options);
    const readings = CONDITIONS.map((): Reading[] => []);
    try {
      // Warm: the worker's code, Postgres's caches, every parcel seen once or more.
      if (CONDITIONS[1]) await bench.measure(CONDITIONS[1], Math.min(options.seconds, 10));
      for (let round = 1; round <= options.rounds; round++)
        for (const [i, condition] of CONDITIONS.entries())
          readings[i]?.push(await bench.measure(condition, options.seconds));
    } finally {
      await bench.close();
    }
    const results = CONDITIONS.map(({ name }, i) => ({ name, ...averageOf(readings[i] ?? []) }));
    const [base] = results;
    const told = results.map((result) => ({
      ...result,
      ratio: result.healthy / (base?.healthy ?? Number.NaN),
    }));
    const worst = Math.min(...told.slice(FIRST_TROUBLED).map(({ ratio }) => ratio));
    if (options.json)
      return console.log(
        JSON.stringify({ bench: "isolation", ...options, conditions: told, worstRatio: worst }),
      );
    for (const { name, ratio, healthy, hanging, refused, connections, megabytes } of told)
      console.log(
        [
          name.padEnd(60),
          `${healthy.toFixed(1).padStart(6)}/s`,
          `ratio ${ratio.toFixed(2)}`,
          `hanging ${hanging.toFixed(0).padStart(2)}`,
          `refused ${refused.toFixed(0).padStart(5)}/s`,
          `connections ${connections}`,
          `RSS ${megabytes.toFixed(0)} MB`,
        ].join("  "),
      );
    console.log(
      `\nworst ratio under trouble ${worst.toFixed(2)}; promised ${PROMISED_RATIO}: ${worst >= PROMISED_RATIO ? "kept" : "NOT KEPT"}`,
    );
  } finally {
    await database.close();
  }
}

/** The mean of the rates, the most of what is held. */
function averageOf(readings: readonly Reading[]): Reading {
  const mean = (pick: (reading: Reading) => number) =>
    readings.reduce((sum, reading) => sum + pick(reading), 0) / readings.length;
  const most = (pick: (reading: Reading) => number) => Math.max(...readings.map(pick));
  return {
    healthy: mean((r) => r.healthy),
    troubled: mean((r) => r.troubled),
    hanging: most((r) => r.hanging),
    refused: mean((r) => r.refused),
    connections: most((r) => r.connections),
    megabytes: most((r) => r.megabytes),
  };
}
