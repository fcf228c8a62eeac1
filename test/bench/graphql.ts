import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { type Asker, ask, readAnswer, requestOf, signIn, type Way } from "./graphql/asking.ts";
import { duringDispatch } from "./graphql/duringDispatch.ts";
import { makeBooks } from "./graphql/makeBooks.ts";
import { type BenchProcess, startProcess } from "./graphql/startProcess.ts";
import { openBenchDatabase } from "./openBenchDatabase.ts";
import { readOptions } from "./readOptions.ts";

/** Of the speed of what is written by hand, the API is to reach at least this much. */
const PROMISED_RATIO = 0.7;
/** How many times as long as a collector's page a dealer's may take. Chosen: she does not notice. */
const PROMISED_DEALER = 2;
/** Milliseconds that one book's page may take at the 95th of 100 while a dispatch of all books runs. */
const PROMISED_P95 = 50;

interface Round {
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly kilobytes: number;
}

/**
 * Requests a second of the page "20 books, each with its parcel, carrier,
 * circuit, freshness and last 5 scans": the real API in a process of its own,
 * against a bare HTTP server with one statement, written by hand, over the same
 * data with the same token check, role and settings. Rounds take turns; medians
 * are told. Then the same page of a dealer with thousands of books, and one book's
 * page while all books are dispatched and looked up.
 */
export async function benchGraphql(args: readonly string[]): Promise<void> {
  const options = readOptions(
    {
      // Each has 50 books: together with the dealer's a dispatch of 100,000.
      owners: { default: 1_600, min: 1, max: 20_000 },
      dealersBooks: { default: 20_000, min: 1, max: 200_000 },
      connections: { default: 10, min: 1, max: 200 },
      rounds: { default: 5, min: 1, max: 100 },
      seconds: { default: 5, min: 1, max: 600 },
      // How long one book's page is asked for, without and with the dispatch; 0: not at all.
      dispatch: { default: 30, min: 0, max: 600 },
    },
    args,
  );
  const database = await openBenchDatabase();
  const running: BenchProcess<unknown>[] = [];
  try {
    const secret = randomBytes(24).toString("hex");
    const { collectors, dealer } = await makeBooks(database.url, { ...options, books: 50 });
    const askers = await signIn(collectors, secret);
    const [dealing] = await signIn(dealer ? [dealer] : [], secret);
    if (dealing === undefined) throw new Error("there is no dealer");
    const environment = { BENCH_API_URL: database.apiUrl, BENCH_JWT_SECRET: secret };
    const start = async (file: Parameters<typeof startProcess>[0]) => {
      const started = await startProcess<string>(file, environment);
      running.push(started);
      return started;
    };
    const loader = await start("load.ts");
    const servers: Record<Way, string> = {
      api: (await start("apiServer.ts")).said,
      hand: (await start("handServer.ts")).said,
    };
    await requireSameData(servers, askers);

    const round = async (
      way: Way,
      seconds: number,
      who: readonly Asker[] = askers,
      connections = options.connections,
    ): Promise<Round> => {
      const load = await ask(loader, {
        origin: servers[way],
        requests: who.map((asker) => requestOf(way, "list", asker)),
        connections,
        ms: seconds * 1_000,
        perSecond: null,
      });
      return {
        perSecond: load.count / load.seconds,
        p50: quantile(load.latencies, 0.5),
        p95: quantile(load.latencies, 0.95),
        kilobytes: load.bytes / load.count / 1_000,
      };
    };
    const rounds: Record<Way, Round[]> = { api: [], hand: [] };
    // Warm: code compiled, statements prepared, pages in Postgres's memory.
    for (const way of ["hand", "api"] as const) await round(way, options.seconds);
    for (let n = 0; n < options.rounds; n++)
      for (const way of ["hand", "api"] as const)
        rounds[way].push(await round(way, options.seconds));
    const list = { hand: medians(rounds.hand), api: medians(rounds.api) };
    // Of each pair that ran one after the other; the machine may be slower later than before.
    const ratios = rounds.api.map((api, n) => api.perSecond / (rounds.hand[n]?.perSecond ?? 0));
    const ratio = quantile(
      ratios.toSorted((a, b) => a - b),
      0.5,
    );

    // The same page, nobody beside her: what 20,000 books of hers cost.
    const alone = [];
    for (const who of [askers, [dealing]])
      alone.push((await round("api", options.seconds, who, 1)).p50);
    const [collectorsPage = Number.NaN, dealersPage = Number.NaN] = alone;
    const pages = { collectorsPage, dealersPage, ratio: dealersPage / collectorsPage };

    const book =
      options.dispatch === 0
        ? null
        : await duringDispatch(database, {
            loader,
            origin: servers.api,
            requests: askers.map((asker) => requestOf("api", "book", asker)),
            seconds: options.dispatch,
          });

    if (options.json)
      return console.log(
        JSON.stringify({ bench: "graphql", ...options, list, ratios, ratio, pages, book }),
      );
    for (const way of ["hand", "api"] as const) {
      const { perSecond, p50, p95, kilobytes } = list[way];
      console.log(
        `${NAMES[way].padEnd(44)} ${perSecond.toFixed(0).padStart(6)}/s  p50 ${p50.toFixed(1)} ms  p95 ${p95.toFixed(1)} ms  ${kilobytes.toFixed(0)} kB`,
      );
    }
    console.log(
      `ratio ${ratio.toFixed(2)} (${ratios.map((r) => r.toFixed(2)).join(", ")}); goal ${PROMISED_RATIO}: ${ratio >= PROMISED_RATIO ? "kept" : "NOT KEPT"}`,
    );
    console.log(
      `a dealer's page (${options.dealersBooks} books) p50 ${dealersPage.toFixed(1)} ms, a collector's (50) ${collectorsPage.toFixed(1)} ms: ratio ${pages.ratio.toFixed(1)}, goal ${PROMISED_DEALER}: ${pages.ratio <= PROMISED_DEALER ? "kept" : "NOT KEPT"}`,
    );
    if (book === null) return;
    for (const [when, { p50, p95, most, count }] of Object.entries(book.pages))
      console.log(
        `one book's page ${when.padEnd(28)} ${String(count).padStart(6)}    p50 ${p50.toFixed(1)} ms  p95 ${p95.toFixed(1)} ms  most ${most.toFixed(0)} ms`,
      );
    const { p95 } = book.pages["during the dispatch"];
    console.log(
      `${book.dispatched} parcels dispatched in ${book.dispatchSeconds.toFixed(1)} s, ${book.lookedUp} looked up meanwhile; p95 ${p95.toFixed(1)} ms, goal ${PROMISED_P95}: ${p95 <= PROMISED_P95 ? "kept" : "NOT KEPT"}`,
    );
  } finally {
    for (const each of running.reverse()) await each.stop();
    await database.close();
  }
}

const NAMES: Readonly<Record<Way, string>> = {
  hand: "20 books by hand: node:http, pg, one statement",
  api: "20 books through the API",
};

/** A ratio of two servers means something only where both say the same. */
async function requireSameData(servers: Record<Way, string>, askers: readonly Asker[]) {
  for (const asker of askers.slice(0, 20))
    for (const page of ["list", "book"] as const) {
      const [api, hand] = await Promise.all(
        (["api", "hand"] as const).map((way) =>
          readAnswer(servers[way], requestOf(way, page, asker)),
        ),
      );
      if (!isDeepStrictEqual(api, hand))
        throw new Error(
          `the API and the statement written by hand differ on a ${page}:\n${JSON.stringify(api).slice(0, 1_500)}\n${JSON.stringify(hand).slice(0, 1_500)}`,
        );
    }
}

/** Of values in ascending order. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function medians(rounds: readonly Round[]): Round {
  const of = (pick: (round: Round) => number) =>
    quantile(
      rounds.map(pick).toSorted((a, b) => a - b),
      0.5,
    );
  return {
    perSecond: of((r) => r.perSecond),
    p50: of((r) => r.p50),
    p95: of((r) => r.p95),
    kilobytes: of((r) => r.kilobytes),
  };
}
