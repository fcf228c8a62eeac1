import fc from "fast-check";
import type { ClientBase } from "pg";
import { expect } from "vitest";
import type { ParcelStatus, Tracking, TrackingEvent } from "../../../src/carriers/carrier.ts";
import { type Learnt, learn } from "../../helpers/learn.ts";
import { scanAt, type TimeKind, tracking } from "../../helpers/trackings.ts";

/** Answers about one parcel, and others that must leave the same. */
export interface Case {
  readonly told: readonly Tracking[];
  readonly sameAs: readonly Tracking[];
}

/** One promise about histories. Its name is a sentence that could be false. */
export interface HistoryProperty {
  readonly name: string;
  readonly cases: fc.Arbitrary<Case>;
  /** What else must hold of what the database made of `told`. */
  readonly check?: (learnt: Learnt, told: readonly Tracking[]) => void;
}

/** How many parcels are recorded in one batch, so that a case costs little more than its rows. */
export const BATCH = 24;

const STAGES: readonly (ParcelStatus | null)[] = [
  ...(["pre_transit", "in_transit", "out_for_delivery", "available_for_pickup"] as const),
  ...(["delivered", "exception", "return_to_sender", "cancelled", "unknown"] as const),
  null,
];
const KINDS: readonly TimeKind[] = ["instant", "wall clock", "date"];

/** A span in which many share a minute, and one in which clocks differ by more than any two zones do. */
const spans = fc.constantFrom(6, 48 * 60);

/** Up to eight scans in the carrier's order, which need not be that of their times. */
const scans = spans.chain((span) =>
  fc
    .array(
      fc.record({
        minute: fc.nat({ max: span }),
        status: fc.constantFrom(...STAGES),
        kind: fc.constantFrom(...KINDS),
      }),
      { maxLength: 8 },
    )
    .map((some) => some.map(({ minute, status, kind }, i) => scanAt(`${i}`, minute, status, kind))),
);

/** Scans whose instants are known and different. */
const instants = fc
  .uniqueArray(fc.record({ minute: fc.nat({ max: 2000 }), status: fc.constantFrom(...STAGES) }), {
    selector: ({ minute }) => minute,
    maxLength: 8,
  })
  .map((some) => some.map(({ minute, status }) => scanAt(`${minute}`, minute, status, "instant")));

const among = fc.double({ min: 0, max: 1, noNaN: true });

/** `one` put somewhere into the list. */
function insertAt<T>(list: readonly T[], one: T, where: number): T[] {
  const i = Math.round(where * list.length);
  return [...list.slice(0, i), one, ...list.slice(i)];
}

const shrinkingAnswers: fc.Arbitrary<Case> = scans.chain((full) =>
  fc
    .record({ some: fc.array(fc.subarray(full), { maxLength: 4 }), where: among })
    .map(({ some, where }) => ({
      told: insertAt(some, full, where).map((events) => tracking(events)),
      sameAs: [tracking(full)],
    })),
);

const splitAnswers: fc.Arbitrary<Case> = instants.chain((all) =>
  fc
    .record({
      some: fc.array(fc.shuffledSubarray(all), { maxLength: 3 }),
      order: fc.shuffledSubarray(all, { minLength: all.length }),
      cuts: fc.tuple(fc.nat({ max: all.length }), fc.nat({ max: all.length })),
      returns: fc.boolean(),
    })
    .map(({ some, order, cuts, returns }) => {
      const [first, second] = cuts[0] < cuts[1] ? cuts : [cuts[1], cuts[0]];
      const parts = [order.slice(0, first), order.slice(first, second), order.slice(second)];
      return {
        told: [...some, ...parts].map((events, i) =>
          tracking(events, { isReturn: returns && i === 0 }),
        ),
        sameAs: [tracking(all, { isReturn: returns })],
      };
    }),
);

/** One telling of a scan: the same identity and stage, but more or less said of it, or another time. */
const tellings = fc.record({
  identity: fc.nat({ max: 5 }),
  minute: fc.nat({ max: 6 }),
  kind: fc.constantFrom(...KINDS),
  isListed: fc.boolean(),
  isDescribed: fc.boolean(),
  isActionRequired: fc.boolean(),
});

const contradictingAnswers: fc.Arbitrary<Case> = fc
  .record({
    stages: fc.tuple(...Array.from({ length: 6 }, () => fc.constantFrom(...STAGES))),
    answers: fc.array(
      fc.record({
        isReturn: fc.boolean(),
        told: fc.uniqueArray(tellings, { selector: ({ identity }) => identity, maxLength: 5 }),
      }),
      { maxLength: 4 },
    ),
  })
  .map(({ stages, answers }) =>
    answers.map(({ isReturn, told }) =>
      tracking(
        told.map(({ identity, minute, kind, isListed, isDescribed, isActionRequired }) => ({
          ...scanAt(`${identity}`, minute, isListed ? (stages[identity] ?? null) : null, kind),
          isListed,
          description: isDescribed ? `words of ${identity}` : null,
          reasonCode: isDescribed ? `R${identity}` : null,
          isActionRequired,
        })),
        { isReturn },
      ),
    ),
  )
  .chain((answers) =>
    fc.record({
      told: fc.constant(answers),
      sameAs: fc.shuffledSubarray([...answers, ...answers], { minLength: answers.length * 2 }),
    }),
  );

/** The minute of the delivery that the next property is about. */
const DELIVERY = 1000;

const scansAroundDelivery: fc.Arbitrary<Case> = fc
  .record({
    before: fc.uniqueArray(fc.nat({ max: DELIVERY - 1 }), { maxLength: 4 }),
    stages: fc.array(fc.constantFrom<ParcelStatus>("in_transit", "exception", "delivered"), {
      minLength: 4,
      maxLength: 4,
    }),
    minute: fc.integer({ min: 1, max: 2 * DELIVERY }).filter((minute) => minute !== DELIVERY),
    stage: fc.constantFrom<ParcelStatus>("in_transit", "exception", "return_to_sender"),
    isFirst: fc.boolean(),
  })
  .map(({ before, stages, minute, stage, isFirst }) => {
    const history = [
      ...before.map((m, i) => scanAt(`${m}`, m, stages[i] ?? null, "instant")),
      scanAt("delivery", DELIVERY, "delivered", "instant"),
    ];
    const answers = [tracking(history), tracking([scanAt("other", minute, stage, "instant")])];
    const told = isFirst ? answers.toReversed() : answers;
    return { told, sameAs: told };
  });

function deliveredUnlessLater({ status }: Learnt, told: readonly Tracking[]): void {
  const all = told.flatMap(({ events }) => events);
  const instantOf = (identity: string) =>
    Date.parse(all.find((scan) => scan.identity === identity)?.occurredAt ?? "");
  const other = all.find(({ identity }) => identity === "other");
  const isLater = instantOf("other") > instantOf("delivery");
  expect(status).toBe(isLater ? other?.status : "delivered");
}

export const historyProperties: readonly HistoryProperty[] = [
  {
    name: "an answer that tells all decides, whatever shorter ones came before and after it",
    cases: shrinkingAnswers,
  },
  {
    name: "scans with instants, however split, repeated and shuffled, end as if told at once",
    cases: splitAnswers,
  },
  {
    name: "answers that contradict each other end alike in any order, told once or twice",
    cases: contradictingAnswers,
  },
  {
    name: "a later scan changes a delivery, an older one never does",
    cases: scansAroundDelivery,
    check: deliveredUnlessLater,
  },
];

const identitiesOf = (events: readonly Pick<TrackingEvent, "identity">[]) =>
  [...new Set(events.map(({ identity }) => identity))].sort();

/** Checks one batch of cases against the database. Changes nothing there. */
async function checkBatch(
  client: ClientBase,
  { check }: HistoryProperty,
  batch: readonly Case[],
): Promise<void> {
  await client.query("savepoint batch");
  try {
    const learnt = await learn(client, [
      ...batch.map(({ told }) => told),
      ...batch.map(({ sameAs }) => sameAs),
    ]);
    for (const [i, { told }] of batch.entries()) {
      const one = learnt[i];
      if (!one) throw new Error("a parcel is missing");
      expect(one).toEqual(learnt[batch.length + i]);
      // None disappears, none is there twice.
      expect(one.timeline.map(({ identity }) => identity).sort()).toEqual(
        identitiesOf(told.flatMap(({ events }) => events)),
      );
      check?.(one, told);
    }
  } finally {
    await client.query("rollback to savepoint batch");
  }
}

/** Fails at the first batch in which the property does not hold; the message has the seed. */
export async function holds(
  client: ClientBase,
  property: HistoryProperty,
  { runs, seed }: { readonly runs: number; readonly seed: number },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.array(property.cases, { minLength: BATCH, maxLength: BATCH, size: "max" }),
      (batch) => checkBatch(client, property, batch),
    ),
    // Shrinking two dozen histories takes minutes; the seed repeats the run.
    { numRuns: Math.ceil(runs / BATCH), seed, endOnFailure: true },
  );
}
