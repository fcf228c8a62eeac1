import fc from "fast-check";
import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import type { Tracking, TrackingEvent } from "../../../../src/carriers/carrier.ts";
import { foldStatus } from "../../../../src/carriers/foldStatus.ts";
import { acquireLookups } from "../../../../src/sql/acquireLookups.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { reportFrom } from "../../../../src/tracking/reportFrom.ts";
import { makeDue } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { histories, tracking } from "../../../helpers/trackings.ts";

const db = testDatabase();

/** How many parcels one run of a property records in one batch: so that a run costs little more than one parcel. */
const PARCELS = 24;
const RUNS = 12;

interface Learnt {
  readonly status: string;
  readonly deliveredAt: string | null;
  readonly deliveredLocalTime: string | null;
}

/** Records, for each parcel, its answers one after the other, and says what the database made of them. */
async function learn(
  client: ClientBase,
  answersOfParcels: readonly (readonly Tracking[])[],
): Promise<Learnt[]> {
  const api = await makeApi(client);
  await client.query(
    "select bookpost.track_book('A book', $1, 'N000' || n) from generate_series(1, $2::integer) n",
    [api.code, answersOfParcels.length],
  );
  const { rows: parcels } = await client.query<{ parcel_id: string }>(
    `select id as parcel_id from bookpost.parcels
     where carrier_code = $1 order by length(tracking_number), tracking_number`,
    [api.code],
  );
  const rounds = Math.max(0, ...answersOfParcels.map((answers) => answers.length));
  for (let round = 0; round < rounds; round++) {
    const asked = parcels.flatMap((parcel, i) => {
      const answer = answersOfParcels[i]?.[round];
      return answer ? [{ ...parcel, answer }] : [];
    });
    // What was closed by the last answer is looked at again all the same.
    await client.query(
      `select bookpost.refresh_book(pb.book_id) from bookpost.parcel_books pb
       join bookpost.parcels p on p.id = pb.parcel_id
       where p.closed_at is not null and p.carrier_code = $1`,
      [api.code],
    );
    const ids = asked.map(({ parcel_id }) => parcel_id);
    await makeDue(client, ...ids);
    const verdicts = await acquireLookups(client, ids, "worker");
    const reports = verdicts.map((verdict, i) => {
      if (verdict.verdict !== "permit") throw new Error(verdict.verdict);
      const answer = asked[i]?.answer;
      if (!answer) throw new Error("no answer");
      return reportFrom(
        verdict.lookupId,
        { kind: "found", tracking: answer, calls: [], body: null },
        new Date(),
      );
    });
    expect(await recordLookups(client, reports, "worker")).toHaveLength(asked.length);
  }
  const { rows } = await client.query<Learnt>(
    `select status, to_char(delivered_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as "deliveredAt",
       to_char(delivered_local_time, 'YYYY-MM-DD"T"HH24:MI:SS') as "deliveredLocalTime"
     from bookpost.parcels where id = any ($1) order by array_position($1, id)`,
    [parcels.map(({ parcel_id }) => parcel_id)],
  );
  return rows;
}

/** The same by the TypeScript rule, of one answer. A parcel that was never answered is pending. */
function expected(answer: Tracking | undefined): Learnt {
  if (!answer) return { status: "pending", deliveredAt: null, deliveredLocalTime: null };
  const { status, deliveredEvent } = foldStatus(answer);
  const local = deliveredEvent?.localTime ?? null;
  return {
    status,
    deliveredAt: deliveredEvent?.occurredAt ?? null,
    deliveredLocalTime: local?.length === 10 ? `${local}T00:00:00` : local,
  };
}

/** A return that has arrived keeps its time of delivery in the database; the TypeScript rule tells it for deliveries only. */
function comparable(learnt: Learnt): Learnt {
  return learnt.status === "delivered"
    ? learnt
    : { ...learnt, deliveredAt: null, deliveredLocalTime: null };
}

async function holds<Case>(
  cases: fc.Arbitrary<Case>,
  answersOf: (one: Case) => readonly Tracking[],
  sameAs: (one: Case) => Tracking | undefined,
): Promise<void> {
  const client = await rolledBack(db);
  await fc.assert(
    fc.asyncProperty(
      fc.array(cases, { minLength: PARCELS, maxLength: PARCELS, size: "max" }),
      async (many) => {
        await client.query("savepoint run");
        try {
          const learnt = await learn(client, many.map(answersOf));
          expect(learnt.map(comparable)).toEqual(many.map((one) => expected(sameAs(one))));
        } finally {
          await client.query("rollback to savepoint run");
        }
      },
    ),
    // Shrinking two dozen histories takes minutes; the seed in the message repeats the run.
    { numRuns: RUNS, endOnFailure: true },
  );
}

test("of one answer, database and program make the same status and time of delivery: instants, wall clocks, dates, ties", async () => {
  await holds(
    fc.record({
      events: histories(["instant", "wall clock", "date"], false),
      isReturn: fc.boolean(),
      status: fc.constantFrom(
        null,
        "in_transit" as const,
        "delivered" as const,
        "unknown" as const,
      ),
    }),
    ({ events, ...rest }) => [tracking(events, rest)],
    ({ events, ...rest }) => tracking(events, rest),
  );
});

test("of scans with instants, however split, repeated, shuffled and forgotten, only the set counts", async () => {
  const cases = histories(["instant"], true).chain((events) =>
    fc.record({
      events: fc.constant(events),
      // Each answer tells some of them in any order; the last ones see to it that each is told at least once.
      some: fc.array(fc.shuffledSubarray([...events]), { maxLength: 3 }),
      cut: fc.nat({ max: events.length }),
      order: fc.shuffledSubarray([...events], { minLength: events.length }),
    }),
  );
  const answersOf = ({
    some,
    cut,
    order,
  }: {
    some: readonly (readonly TrackingEvent[])[];
    cut: number;
    order: readonly TrackingEvent[];
  }) => [...some, order.slice(0, cut), order.slice(cut)].map((events) => tracking(events));
  await holds(cases, answersOf, ({ events }) => tracking(events));
});

test("of a history that grows, the longest answer decides, whichever order its answers are recorded in", async () => {
  const cases = histories(["instant", "wall clock", "date"], false).chain((events) =>
    fc.record({
      events: fc.constant(events),
      lengths: fc.shuffledSubarray(
        Array.from({ length: events.length + 1 }, (_, i) => i),
        { minLength: 1 },
      ),
    }),
  );
  await holds(
    cases,
    ({ events, lengths }) => lengths.map((length) => tracking(events.slice(0, length))),
    ({ events, lengths }) => tracking(events.slice(0, Math.max(...lengths))),
  );
});
