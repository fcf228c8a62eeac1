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
 * unless the look before was given up in between, or the request is late: then
 * two at once are allowed.
 */
export async function overlappingRequests(
  db: Queryable,
  log: readonly Request[],
): Promise<Request[]> {
  return requestsWithLooks(await knownLookups(db), log).flatMap(({ requests, looks }) => {
    const isGivenUpBetween = (earlier: Request, later: Request) =>
      looks.some(
        ({ outcome, finished_at }) =>
          outcome === "interrupted" &&
          finished_at >= earlier.at - SLACK_MS &&
          finished_at <= later.at + SLACK_MS,
      );
    return requests.filter(
      (request, i) =>
        !isLate(request, requests, looks) &&
        requests
          .slice(0, i)
          .some(
            (earlier) =>
              (earlier.endedAt ?? Number.POSITIVE_INFINITY) > request.monotonic &&
              !isGivenUpBetween(earlier, request),
          ),
    );
  });
}

/**
 * Requests about a number that no look accounts for: none, finished or under
 * way, had begun and not ended when they came, and they are not late.
 */
export async function requestsWithoutLookup(
  db: Queryable,
  log: readonly Request[],
): Promise<Request[]> {
  return requestsWithLooks(await knownLookups(db), log).flatMap(({ requests, looks }) =>
    requests.filter(
      (request) =>
        !isLate(request, requests, looks) &&
        !looks.some(
          ({ started_at, finished_at }) =>
            started_at <= request.at + SLACK_MS && finished_at >= request.at - SLACK_MS,
        ),
    ),
  );
}

/**
 * Whether it may be that of a look that was given up before its request had
 * come: its worker was stopped between the two, taken for dead, and went on.
 */
function isLate(
  request: Request,
  requests: readonly Request[],
  looks: readonly KnownLookup[],
): boolean {
  return looks.some(
    ({ outcome, started_at, finished_at }) =>
      outcome === "interrupted" &&
      finished_at <= request.at + SLACK_MS &&
      // Its own would be here; the log's times are cut to whole milliseconds.
      !requests.some(({ at }) => at >= Math.floor(started_at) && at <= finished_at),
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

/** The lookup requests about each number of each API, in the order of their arrival, one about many numbers being about each; and the looks it had. */
function requestsWithLooks(lookups: readonly KnownLookup[], log: readonly Request[]) {
  const each = log.flatMap((request) => {
    if (request.kind !== "lookup") return [];
    const numbers = request.numbers ?? (request.number === null ? [] : [request.number]);
    return numbers.map((number) => ({ number, request }));
  });
  const groups = Map.groupBy(each, ({ number, request }) => `${request.api} ${number}`);
  return [...groups.values()].map((group) => ({
    requests: group.map(({ request }) => request).sort((a, b) => a.monotonic - b.monotonic),
    looks: lookups.filter(
      ({ tracking_number, api_code }) =>
        tracking_number === group[0]?.number && api_code === group[0]?.request.api,
    ),
  }));
}
