import { execFileSync, spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";

function hasPsql(): boolean {
  try {
    execFileSync("psql", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasPsql())("from psql, past all our code", () => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await createTestDatabase();
  });

  afterAll(async () => {
    await db.drop();
  });

  function psql(sql: string) {
    const { status, stderr, stdout } = spawnSync("psql", [
      db.url,
      "-X",
      "-v",
      "ON_ERROR_STOP=1",
      "-At",
      "-c",
      sql,
    ]);
    return { status, stderr: stderr.toString(), stdout: stdout.toString() };
  }

  test("a book without a carrier is refused", () => {
    const said = psql("select bookpost.track_book('Emma', null, '1Z999AA10123456784')");
    expect(said.status).not.toBe(0);
    expect(said.stderr).toMatch(
      /There is no carrier "". Say which one: it is never guessed from the number/,
    );
    expect(
      psql(
        "insert into bookpost.parcels (carrier_code, tracking_number) values (null, '1Z999AA10123456784')",
      ).stderr,
    ).toMatch(/carrier_code/);
    expect(psql("select count(*) from bookpost.parcels").stdout).toBe("0\n");
  });

  test("a phone number that is not E.164 is refused by a constraint that says so", () => {
    const said = psql("insert into bookpost.users (phone_number) values ('020 7946 0123')");
    expect(said.status).not.toBe(0);
    expect(said.stderr).toContain("users_phone_number_is_e164");
    expect(psql("insert into bookpost.users (phone_number) values ('+442079460123')").status).toBe(
      0,
    );
  });

  test("a book is tracked, asked about and stopped with SQL alone", () => {
    expect(
      psql("select title from bookpost.track_book('Emma', 'ups', '1z 999aa1 0123456784')").stdout,
    ).toBe("Emma\n");
    expect(psql("select tracking_number, reason from bookpost_ops.why").stdout).toBe(
      "1Z999AA10123456784|not_configured\n",
    );
    psql("select bookpost.stop_tracking(id) from bookpost.books");
    expect(psql("select closed_reason from bookpost.parcels").stdout).toBe("stopped\n");
    expect(psql("select * from bookpost_ops.stuck").stdout).toBe("");
  });
});
