import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

interface Row {
  readonly what: string;
  readonly instant?: string;
  readonly local?: string;
  readonly isDateOnly?: boolean;
  /** Sent on 15 March, unless said. */
  readonly sentOn?: string | null;
  readonly isEarlier: boolean;
}

// Two weeks before 15 March is the beginning of 1 March; the parcel is tracked since 20 March, 12:00.
const rows: readonly Row[] = [
  {
    what: "the very instant two weeks before the day",
    instant: "2026-03-01T00:00:00Z",
    isEarlier: false,
  },
  { what: "a second before it", instant: "2026-02-28T23:59:59Z", isEarlier: true },
  { what: "four months before it", instant: "2025-11-15T10:00:00Z", isEarlier: true },
  { what: "the day itself", instant: "2026-03-15T10:00:00Z", isEarlier: false },
  { what: "a scan from the future", instant: "2027-03-15T10:00:00Z", isEarlier: false },
  {
    what: "an instant whose wall clock is later",
    instant: "2026-02-28T23:59:59Z",
    local: "2026-03-01T13:59:59",
    isEarlier: true,
  },
  {
    what: "a clock without a zone, a day before it: it may be UTC-12",
    local: "2026-02-28T00:00:00",
    isEarlier: false,
  },
  {
    what: "a clock without a zone, more than a day before it",
    local: "2026-02-27T23:59:59",
    isEarlier: true,
  },
  {
    what: "a date that ends within a day of it",
    local: "2026-02-27T00:00:00",
    isDateOnly: true,
    isEarlier: false,
  },
  {
    what: "a date that has ended more than a day before it",
    local: "2026-02-26T00:00:00",
    isDateOnly: true,
    isEarlier: true,
  },
  {
    what: "two weeks before tracking began, where no day was said",
    instant: "2026-03-06T12:00:00Z",
    sentOn: null,
    isEarlier: false,
  },
  { what: "a second before that", instant: "2026-03-06T11:59:59Z", sentOn: null, isEarlier: true },
  {
    what: "two weeks before a day that was said to be long ago",
    instant: "2024-05-01T00:00:00Z",
    sentOn: "2024-05-10",
    isEarlier: false,
  },
  {
    what: "a later life, for a day that was said to be long ago",
    instant: "2026-03-01T00:00:00Z",
    sentOn: "2024-05-10",
    isEarlier: false,
  },
];

test.each(["UTC", "America/New_York", "Pacific/Kiritimati"])(
  "what is of an earlier life, in a session of time zone %s",
  async (zone) => {
    const client = await rolledBack(db);
    await client.query(`set local time zone '${zone}'`);
    for (const { what, instant, local, isDateOnly, sentOn, isEarlier } of rows) {
      const said = await one<{ is_earlier: boolean }>(
        client,
        "select bookpost_private.is_of_earlier_life($1, $2, $3, $4, '2026-03-20T12:00:00Z') as is_earlier",
        [
          instant ?? null,
          local ?? null,
          isDateOnly ?? false,
          sentOn === undefined ? "2026-03-15" : sentOn,
        ],
      );
      expect({ what, ...said }).toEqual({ what, is_earlier: isEarlier });
    }
  },
);
