import fc from "fast-check";
import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

/**
 * Lets calls go through an allowance, asked for at random moments and made as
 * late as random says; the moments in seconds, in order of asking. Where the
 * next call is far away, whoever asks comes back then.
 */
const GO = `create function pg_temp.go(api_code text, gaps double precision[], lateness double precision[])
returns table (called_at double precision, waited double precision) language plpgsql as $$
declare
  a bookpost_private.call_allowance := bookpost_private.read_allowance(api_code, '2026-06-01 12:00Z');
  t timestamptz := '2026-06-01 12:00Z';
  c record;
begin
  for i in 1 .. cardinality(gaps) loop
    t := t + make_interval(secs => gaps[i]);
    loop
      select * into c from bookpost_private.next_call(a, t, false);
      exit when c.call_at is not null;
      t := c.retry_at;
    end loop;
    a := bookpost_private.spend_call(a, c.call_at);
    waited := extract(epoch from c.call_at - t);
    called_at := extract(epoch from c.call_at + a.use_within * lateness[i]);
    return next;
  end loop;
end $$`;

/** The most calls in any stretch of `seconds`. */
function mostWithin(seconds: number, times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  let most = 0;
  for (let first = 0, last = 0; last < sorted.length; last++) {
    while ((sorted[last] ?? 0) - (sorted[first] ?? 0) >= seconds) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

test("whatever the limits, moments and delays, no stretch of a window's length sees more calls than it may", async () => {
  const client = await rolledBack(db);
  await client.query(GO);
  const window = fc.constantFrom(1, 2, 5, 10, 60, 300, 3600);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.record({ seconds: window, calls: fc.integer({ min: 1, max: 40 }) }), {
        minLength: 1,
        maxLength: 3,
        selector: ({ seconds }) => seconds,
      }),
      fc.array(
        fc.record({
          // Mostly in a rush, now and then after a pause.
          gap: fc.oneof(
            { weight: 8, arbitrary: fc.constant(0) },
            { weight: 1, arbitrary: fc.double({ min: 0, max: 2, noNaN: true }) },
            { weight: 1, arbitrary: fc.double({ min: 0, max: 4000, noNaN: true }) },
          ),
          lateness: fc.constantFrom(0, 0.5, 1),
        }),
        { minLength: 60, maxLength: 120 },
      ),
      async (windows, calls) => {
        const { code } = await makeApi(client, {
          call_windows: Object.fromEntries(windows.map((w) => [`${w.seconds} seconds`, w.calls])),
        });
        const { rows } = await client.query<{ called_at: number }>(
          "select called_at from pg_temp.go($1, $2, $3)",
          [code, calls.map(({ gap }) => gap), calls.map(({ lateness }) => lateness)],
        );
        const times = rows.map(({ called_at }) => called_at);
        for (const { seconds, calls: allowed } of windows)
          expect(mostWithin(seconds, times)).toBeLessThanOrEqual(allowed);
      },
    ),
    { numRuns: 150 },
  );
});

test.each([
  ["1 second", 10, 1],
  ["5 seconds", 1, 5],
  ["10 seconds", 1400, 10],
  ["1 minute", 10, 60],
  ["1 hour", 60, 3600],
])(
  "%s and %i calls: of the allowance at least nine tenths can be used",
  async (window, calls, seconds) => {
    const client = await rolledBack(db);
    await client.query(GO);
    const { code } = await makeApi(client, { call_windows: { [window]: calls } });
    const n = calls * 5 + 1;
    const { rows } = await client.query<{ called_at: number }>(
      "select called_at from pg_temp.go($1, array_fill(0::float8, array[$2::int]), array_fill(0::float8, array[$2::int]))",
      [code, n],
    );
    const span = (rows.at(-1)?.called_at ?? 0) - (rows[0]?.called_at ?? 0);
    expect((n - 1) / calls / (span / seconds)).toBeGreaterThan(0.9);
  },
);

test("of an hour's calls the first three may go at once: a token and two lookups", async () => {
  const client = await rolledBack(db);
  await client.query(GO);
  const { code } = await makeApi(client, { call_windows: { "1 hour": 60 } });
  const { rows } = await client.query<{ called_at: number }>(
    "select called_at, waited from pg_temp.go($1, array[0, 0, 0, 0], array[0, 0, 0, 0])",
    [code],
  );
  const [first, second, third, fourth] = rows.map(({ called_at }) => called_at) as [
    number,
    number,
    number,
    number,
  ];
  expect([second - first, third - first]).toEqual([0, 0]);
  // (3600 s + 30.5 s slack + 144 s burst) / 60 = 62.9 s apart, less what the burst has left over: 3 × 62.9 - 144.
  expect(fourth - first).toBeCloseTo(44.7, 1);
});
