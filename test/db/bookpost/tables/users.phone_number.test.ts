import { expect, test } from "vitest";
import { UsageError } from "../../../../src/errors.ts";
import { isE164, normalizePhone } from "../../../../src/notifications/phone.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { PHONE_ROWS } from "../../../notifications/phoneNumbers.ts";

// Numbers as people write them, judged alike by TypeScript and by the database.

const db = testDatabase();

const INSERT = "insert into bookpost.users (phone_number) values ($1)";

test("there are forty numbers at least, and no two alike", () => {
  expect(PHONE_ROWS.length).toBeGreaterThanOrEqual(40);
  const said = PHONE_ROWS.map(({ written, country }) => `${country} ${written}`);
  expect(new Set(said).size).toBe(PHONE_ROWS.length);
});

test.each(PHONE_ROWS)(
  "$what: TypeScript and the database agree whether it may be stored as it is",
  async ({ written, isStorable }) => {
    const client = await rolledBack(db);
    const refusal = await tryOut(client, INSERT, [written]);
    expect({ typescript: isE164(written), database: refusal === null }).toEqual({
      typescript: isStorable,
      database: isStorable,
    });
    if (!isStorable) expect(refusal).toMatchObject({ constraint: "users_phone_number_is_e164" });
  },
);

test.each(PHONE_ROWS)(
  "$what: where a person enters it, it becomes $becomes",
  async ({ written, country, becomes }) => {
    if (!becomes.startsWith("+")) {
      expect(() => normalizePhone(written, country)).toThrow(
        expect.objectContaining({ name: "UsageError", code: becomes, exitCode: 2 }),
      );
      expect(() => normalizePhone(written, country)).toThrow(UsageError);
      return;
    }
    expect(normalizePhone(written, country)).toBe(becomes);
    const client = await rolledBack(db);
    expect(await tryOut(client, INSERT, [becomes])).toBeNull();
  },
);

test("the database's rule is the same under a collation by which other scripts' digits are digits", async () => {
  const client = await rolledBack(db);
  const { definition } = await one<{ definition: string }>(
    client,
    "select pg_get_constraintdef(oid) as definition from pg_constraint where conname = 'users_phone_number_is_e164'",
  );
  // This database's own collation knows no such digits; an app's may.
  await client.query(
    `create temporary table people (phone_number text collate "und-x-icu", ${definition})`,
  );
  const [full, arabic] = ["+44207946012３", "+٤٤٢٠٧٩٤٦٠١٢٣"];
  // Or this test would show nothing.
  expect(
    await one(
      client,
      `select $1 collate "und-x-icu" ~ '^\\+\\d+$' as "isFull", $2 collate "und-x-icu" ~ '^\\+\\d+$' as "isArabic"`,
      [full, arabic],
    ),
  ).toEqual({ isFull: true, isArabic: true });
  for (const { written, isStorable } of PHONE_ROWS) {
    const refusal = await tryOut(client, "insert into people (phone_number) values ($1)", [
      written,
    ]);
    expect([written, refusal === null]).toEqual([written, isStorable]);
  }
});
