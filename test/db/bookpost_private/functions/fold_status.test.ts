import fc from "fast-check";
import { expect, test } from "vitest";
import type { Tracking, TrackingEvent } from "../../../../src/carriers/carrier.ts";
import { foldStatus } from "../../../../src/carriers/foldStatus.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { type Learnt, learn } from "../../../helpers/learn.ts";
import { runCount } from "../../../helpers/runCount.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { histories, tracking } from "../../../helpers/trackings.ts";

const db = testDatabase();

/** How many parcels one run of a property records in one batch: so that a run costs little more than one parcel. */
const PARCELS = 24;
const RUNS = runCount(3, 12);

/** What the rule gives; the timeline has its own tests in test/db/properties. */
type Folded = Pick<Learnt, "status" | "deliveredAt" | "deliveredLocalTime">;

/** The same by the TypeScript rule, of one answer. A parcel that was never answered is pending. */
function expected(answer: Tracking | undefined): Folded {
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
function comparable({ status, deliveredAt, deliveredLocalTime }: Learnt): Folded {
  return status === "delivered"
    ? { status, deliveredAt, deliveredLocalTime }
    : { status, deliveredAt: null, deliveredLocalTime: null };
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
