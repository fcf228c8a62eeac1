import type { Queryable } from "../../src/db/withTransaction.ts";
import type { LogEntry } from "../../src/sandbox/requestLog.ts";

// The carrier's own log against the database's ledger.

/** What the log has to tell of a request. */
export type Request = Pick<
  LogEntry,
  "at" | "monotonic" | "endedAt" | "api" | "kind" | "number" | "numbers"
>;

/**
 * How far the carrier's clock and the database's may differ, in milliseconds.
 * Chosen: both on one machine, the one cut to whole milliseconds.
 */
const SLACK_MS = 20;

/** A look as the database knows it; times are milliseconds since 1970. */
interface KnownLookup {
  readonly tracking_number: string;
  readonly api_code: string;
  /** Null: under way. */
  readonly outcome: string | null;
  readonly started_at: number;
  readonly finished_at: number;
}

/**
 * Requests about a number that came while another about it was under way,
 * unless the look before was given up in between: then two at once are allowed.
 */
export async function overlappingRequests(
  db: Queryable,
  log: readonly Request[],
): Promise<Request[]> {
  const lookups = await knownLookups(db);
  return lookupsByNumber(log).flatMap(({ number, requests }) =>
    requests.filter((request, i) =>
      requests
        .slice(0, i)
        .some(
          (earlier) =>
            (earlier.endedAt ?? Number.POSITIVE_INFINITY) > request.monotonic &&
            !lookups.some(
              ({ tracking_number, api_code, outcome, finished_at }) =>
                tracking_number === number &&
                api_code === request.api &&
                outcome === "interrupted" &&
                finished_at >= earlier.at - SLACK_MS &&
                finished_at <= request.at + SLACK_MS,
            ),
        ),
    ),
  );
}

/** Requests about a number that no look accounts for: none, finished or under way, had begun and not ended when they came. */
export async function requestsWithoutLookup(
  db: Queryable,
  log: readonly Request[],
): Promise<Request[]> {
  const lookups = await knownLookups(db);
  return lookupsByNumber(log).flatMap(({ number, requests }) =>
    requests.filter(
      (request) =>
        !lookups.some(
          ({ tracking_number, api_code, started_at, finished_at }) =>
            tracking_number === number &&
            api_code === request.api &&
            started_at <= request.at + SLACK_MS &&
            finished_at >= request.at - SLACK_MS,
        ),
    ),
  );
}

async function knownLookups(db: Queryable): Promise<KnownLookup[]> {
  const { rows } = await db.query<KnownLookup>(
    `select p.tracking_number, k.api_code, k.outcome,
       extract(epoch from k.started_at)::double precision * 1000 as started_at,
       extract(epoch from k.finished_at)::double precision * 1000 as finished_at
     from bookpost_private.lookups k join bookpost.parcels p on p.id = k.parcel_id
     union all
     select p.tracking_number, l.api_code, null, extract(epoch from l.started_at)::double precision * 1000, 'infinity'
     from bookpost_private.leases l join bookpost.parcels p on p.id = l.parcel_id`,
  );
  return rows;
}

/** The lookup requests about each number of each API, in the order of their arrival; one about many numbers is about each. */
function lookupsByNumber(log: readonly Request[]) {
  const each = log.flatMap((request) => {
    if (request.kind !== "lookup") return [];
    const numbers = request.numbers ?? (request.number === null ? [] : [request.number]);
    return numbers.map((number) => ({ number, request }));
  });
  const groups = Map.groupBy(each, ({ number, request }) => `${request.api} ${number}`);
  return [...groups.values()].map((group) => ({
    number: group[0]?.number,
    requests: group.map(({ request }) => request).sort((a, b) => a.monotonic - b.monotonic),
  }));
}
