import type { ClientBase } from "pg";
import { expect } from "vitest";
import type { Tracking } from "../../src/carriers/carrier.ts";
import { acquireLookups } from "../../src/sql/acquireLookups.ts";
import { recordLookups } from "../../src/sql/recordLookups.ts";
import { reportFrom } from "../../src/tracking/reportFrom.ts";
import { makeDue } from "./ageing.ts";
import { makeApi } from "./makeApi.ts";

/** A scan as stored, in the order of the parcel's history. */
export interface TimelineEntry {
  readonly identity: string;
  readonly status: string | null;
  readonly occurredAt: string | null;
  readonly localTime: string | null;
  readonly timeZone: string | null;
  readonly isCodeListed: boolean;
  readonly description: string | null;
  readonly reasonCode: string | null;
  readonly isActionRequired: boolean;
}

/** What the database made of one parcel's answers. */
export interface Learnt {
  readonly status: string;
  readonly deliveredAt: string | null;
  readonly deliveredLocalTime: string | null;
  readonly reasonCode: string | null;
  readonly isActionRequired: boolean;
  /** Oldest first. */
  readonly timeline: readonly TimelineEntry[];
}

const MINUTE = `'YYYY-MM-DD"T"HH24:MI:SS'`;
const LEARNT = `
  select p.status, to_char(p.delivered_at at time zone 'UTC', ${MINUTE}) || 'Z' as "deliveredAt",
    to_char(p.delivered_local_time, ${MINUTE}) as "deliveredLocalTime",
    p.reason_code as "reasonCode", p.is_action_required as "isActionRequired",
    coalesce((
      select jsonb_agg(jsonb_build_object(
        'identity', e.identity, 'status', e.status,
        'occurredAt', to_char(e.occurred_at at time zone 'UTC', ${MINUTE}) || 'Z',
        'localTime', to_char(e.local_time, ${MINUTE}), 'timeZone', e.time_zone,
        'isCodeListed', e.is_code_listed, 'description', e.description,
        'reasonCode', e.reason_code, 'isActionRequired', e.is_action_required
      ) order by e.sort_at, e.sort_rank, e.identity)
      from bookpost.tracking_events e where e.parcel_id = p.id
    ), '[]') as timeline
  from bookpost.parcels p where p.id = any ($1) order by array_position($1, p.id)`;

/**
 * Gives each of some new parcels its answers, one after the other, through
 * acquire and record, and says what the database made of them. One batch a
 * round, so that many parcels cost little more than one. Does not commit.
 */
export async function learn(
  client: ClientBase,
  answersOfParcels: readonly (readonly Tracking[])[],
): Promise<Learnt[]> {
  const api = await makeApi(client);
  await client.query(
    "select bookpost.track_book('A book', $1, 'N000' || n) from generate_series(1, $2::integer) n",
    [api.code, answersOfParcels.length],
  );
  const { rows: parcels } = await client.query<{ id: string }>(
    "select id from bookpost.parcels where carrier_code = $1 order by length(tracking_number), tracking_number",
    [api.code],
  );
  const rounds = Math.max(0, ...answersOfParcels.map((answers) => answers.length));
  for (let round = 0; round < rounds; round++) {
    const asked = parcels.flatMap(({ id }, i) => {
      const answer = answersOfParcels[i]?.[round];
      return answer ? [{ id, answer }] : [];
    });
    // What was closed by the last answer is looked at again all the same.
    await client.query(
      `select bookpost.refresh_book(pb.book_id) from bookpost.parcel_books pb
       join bookpost.parcels p on p.id = pb.parcel_id
       where p.closed_at is not null and p.carrier_code = $1`,
      [api.code],
    );
    const ids = asked.map(({ id }) => id);
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
  const { rows } = await client.query<Learnt>(LEARNT, [parcels.map(({ id }) => id)]);
  return rows;
}
