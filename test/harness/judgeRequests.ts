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
  readonly is_worker_alive: boolean;
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
    const overlapping = requests.filter((request, i) =>
      requests
        .slice(0, i)
        .some(
          (earlier) =>
            (earlier.endedAt ?? Number.POSITIVE_INFINITY) > request.monotonic &&
            !isGivenUpBetween(earlier, request),
        ),
    );
    return withoutLate(overlapping, requests, looks);
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
  return requestsWithLooks(await knownLookups(db), log).flatMap(({ requests, looks }) => {
    const strange = requests.filter(
      (request) =>
        !looks.some(
          ({ started_at, finished_at }) =>
            started_at <= request.at + SLACK_MS && finished_at >= request.at - SLACK_MS,
        ),
    );
    return withoutLate(strange, requests, looks);
  });
}

/**
 * Of these offenders those that are not late. Late is the one request of a look
 * that was given up before it had come: its worker was stopped between permit
 * and request, taken for dead, and went on, so that it lives.
 */
function withoutLate(
  offenders: readonly Request[],
  requests: readonly Request[],
  looks: readonly KnownLookup[],
): Request[] {
  const unsent = looks.filter(
    ({ outcome, started_at, finished_at, is_worker_alive }) =>
      outcome === "interrupted" &&
      is_worker_alive &&
      // The log's times are cut to whole milliseconds.
      !requests.some(({ at }) => at >= Math.floor(started_at) && at <= finished_at),
  );
  return offenders.filter((request) => {
    const i = unsent.findIndex(({ finished_at }) => finished_at <= request.at + SLACK_MS);
    if (i >= 0) unsent.splice(i, 1);
    return i < 0;
  });
}

async function knownLookups(db: Queryable): Promise<KnownLookup[]> {
  const { rows } = await db.query<KnownLookup>(
    `select p.tracking_number, k.api_code, k.outcome,
       extract(epoch from k.started_at)::double precision * 1000 as started_at,
       extract(epoch from k.finished_at)::double precision * 1000 as finished_at,
       exists (select from bookpost_private.workers w where w.id = k.worker_id) as is_worker_alive
     from bookpost_private.lookups k join bookpost.parcels p on p.id = k.parcel_id
     union all
     select p.tracking_number, l.api_code, null, extract(epoch from l.started_at)::double precision * 1000, 'infinity', true
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
