import type pg from "pg";
import { acquireLookups } from "../../../src/sql/acquireLookups.ts";
import { payCall } from "../../../src/sql/payCall.ts";
import { recordLookups } from "../../../src/sql/recordLookups.ts";
import { ageCircuit, makeDue } from "../../helpers/ageing.ts";
import { circuitOf } from "../../helpers/circuitOf.ts";
import type { TestDatabase } from "../../helpers/database.ts";
import { endsOrWaits, withoutWaiting } from "../../helpers/endsOrWaits.ts";
import { lookUp, permitFor } from "../../helpers/lookUp.ts";
import { type ApiLimits, makeApi } from "../../helpers/makeApi.ts";
import { openClient } from "../../helpers/openClient.ts";
import { dueParcels } from "../../helpers/permits.ts";
import { failed, found } from "../../helpers/reports.ts";
import { holdPauses, letPause } from "../../helpers/sabotage.ts";
import { untilItWaits } from "../../helpers/untilItWaits.ts";

// Two clients, steps in a written order. Each fails, with a sentence that says how, where the database breaks its word.
// Where it says that one stops, the function it calls was given a pause (test/helpers/sabotage.ts).

/** The first stops at its pause; the second runs until it has ended or waits for the first; then the first goes on. */
async function overtake<A, B>(
  db: TestDatabase,
  first: (client: pg.Client) => Promise<A>,
  second: (client: pg.Client) => Promise<B>,
): Promise<[A, B]> {
  const [holder, a, b] = [
    await openClient(db.url),
    await openClient(db.url),
    await openClient(db.url),
  ];
  await letPause(a);
  const goOn = await holdPauses(holder);
  const slow = first(a);
  await untilItWaits(db.pool, a, slow);
  const quick = second(b);
  await endsOrWaits(db.pool, b, quick);
  await goOn();
  await Promise.allSettled([slow, quick]);
  return [await slow, await quick];
}

/** An API whose circuit has just cooled down after one failure, and due parcels of it that have not failed. */
async function cooledDown(db: TestDatabase, limits: ApiLimits, count: number) {
  const { code } = await makeApi(db.pool, { failure_threshold: 1, ...limits });
  const [spoiler = "", ...parcelIds] = await dueParcels(db.pool, code, count + 1);
  await lookUp(db.pool, spoiler, (id) => failed(id, "unavailable"));
  await ageCircuit(db.pool, code, "31 minutes");
  return { code, parcelIds };
}

/** Two ask for one parcel; the first stops while it looks for it. One of them gets it. */
export async function twoAskForOne(db: TestDatabase): Promise<void> {
  const { code } = await makeApi(db.pool);
  const parcelIds = await dueParcels(db.pool, code, 1);
  const ask = (client: pg.Client) => acquireLookups(client, parcelIds, "worker");
  const verdicts = (await overtake(db, ask, ask)).flat().map(({ verdict }) => verdict);
  if (verdicts.toSorted().join() !== "busy,permit") throw new Error(`told: ${verdicts.join()}`);
}

/** Two fail at once; the first stops after it has read the count. Both are counted. */
export async function twoFailAtOnce(db: TestDatabase): Promise<void> {
  const { code } = await makeApi(db.pool, { failure_threshold: 1000 });
  const [p = "", q = ""] = await dueParcels(db.pool, code, 2);
  const [one, other] = [await permitFor(db.pool, p), await permitFor(db.pool, q)];
  const fail = (id: string) => (client: pg.Client) =>
    recordLookups(client, [failed(id, "unavailable")], "worker");
  await overtake(db, fail(one), fail(other));
  const { consecutive_failures: count } = await circuitOf(db.pool, code);
  if (count !== 2) throw new Error(`${count} of 2 failures counted`);
}

/** Two ask for the probe with a parcel each; the first stops before it claims it. One of them gets it. */
export async function twoAskForTheProbe(db: TestDatabase): Promise<void> {
  const { parcelIds } = await cooledDown(db, {}, 2);
  const ask =
    (parcelId = "") =>
    (client: pg.Client) =>
      acquireLookups(client, [parcelId], "worker");
  const verdicts = (await overtake(db, ask(parcelIds[0]), ask(parcelIds[1]))).flat();
  const probes = verdicts.filter(({ verdict }) => verdict === "permit").length;
  if (probes !== 1) throw new Error(`${probes} probes`);
}

/** A probe that was thought lost is answered while another asks, who stops before it claims. The circuit stays closed. */
export async function lateAnswerBesideNextProbe(db: TestDatabase): Promise<void> {
  const { code, parcelIds } = await cooledDown(db, {}, 2);
  const [first = "", next = ""] = parcelIds;
  const probe = await permitFor(db.pool, first);
  await ageCircuit(db.pool, code, "101 seconds");
  const [[verdict]] = await overtake(
    db,
    (client) => acquireLookups(client, [next], "worker"),
    (client) => recordLookups(client, [found(probe)], "worker"),
  );
  const { state } = await circuitOf(db.pool, code);
  if (state !== "closed" || verdict?.verdict === "permit")
    throw new Error(`a probe of a circuit that had closed: ${state}, ${verdict?.verdict}`);
}

/** A person is moving a circuit that has cooled down: who asks for the probe is refused at once. */
export async function askBesideForce(db: TestDatabase): Promise<void> {
  const { code, parcelIds } = await cooledDown(db, {}, 1);
  const person = await openClient(db.url);
  await person.query("begin");
  await person.query("select bookpost_private.force_circuit($1, 'open', 'ann', 'maintenance')", [
    code,
  ]);
  const us = await openClient(db.url);
  const asked = acquireLookups(us, parcelIds, "worker");
  const [verdict] = await withoutWaiting(db.pool, us, asked);
  if (verdict?.verdict !== "circuit_half_open") throw new Error(`told: ${verdict?.verdict}`);
  await person.query("rollback");
}

/** Two ask with a parcel each where one call is left; the first stops after it has read what is left. One gets it. */
export async function twoAskForTheLastCall(db: TestDatabase, limits: ApiLimits): Promise<void> {
  const { code } = await makeApi(db.pool, limits);
  const parcelIds = await dueParcels(db.pool, code, 2);
  const ask =
    (parcelId = "") =>
    (client: pg.Client) =>
      acquireLookups(client, [parcelId], "worker");
  const verdicts = (await overtake(db, ask(parcelIds[0]), ask(parcelIds[1]))).flat();
  const permits = verdicts.filter(({ verdict }) => verdict === "permit").length;
  if (permits !== 1) throw new Error(`${permits} permits where 1 was left`);
}

/** Two lookups under way want to pay for one request more each where one is left; the first stops after reading. */
export async function twoPayForTheLastCall(db: TestDatabase): Promise<void> {
  const { code } = await makeApi(db.pool, { calls_per_day: 3 });
  const [p = "", q = ""] = await dueParcels(db.pool, code, 2);
  const [one, other] = [await permitFor(db.pool, p), await permitFor(db.pool, q)];
  const pay = (id: string) => (client: pg.Client) => payCall(client, id, "token");
  const paid = (await overtake(db, pay(one), pay(other))).filter(({ refusal }) => refusal === null);
  if (paid.length !== 1) throw new Error(`${paid.length} calls paid where 1 was left`);
}

/** A lookup's report comes twice at once; the first stops before its lease is gone. It is written once. */
export async function reportedTwice(db: TestDatabase): Promise<void> {
  const { code } = await makeApi(db.pool);
  const [parcelId = ""] = await dueParcels(db.pool, code, 1);
  const lookupId = await permitFor(db.pool, parcelId);
  const report = (client: pg.Client) => recordLookups(client, [found(lookupId)], "worker");
  const ends = (await overtake(db, report, report)).flat();
  const written = ends.filter(({ outcome }) => outcome !== "busy").length;
  if (written !== 1) throw new Error(`written ${written} times`);
  await makeDue(db.pool, parcelId);
}
