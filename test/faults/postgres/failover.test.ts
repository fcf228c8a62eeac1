import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sandbox } from "../../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../../src/sandbox/server.ts";
import { canStandby } from "../../harness/abilities.ts";
import { type Faultline, startFaultline } from "../../harness/faultline.ts";
import { judge } from "../../harness/judge.ts";
import { type Lane, openLane } from "../../harness/lane.ts";
import { type PgBox, type Standby, startPgBox } from "../../harness/pgbox.ts";
import { chanceFrom } from "../../helpers/chance.ts";
import type { TestDatabase } from "../../helpers/template.ts";
import { until } from "../../helpers/until.ts";
import { judgeWorld } from "../judgeWorld.ts";
import { environmentOf, makeRoom } from "../kills/run.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { startWorld, type World } from "../world.ts";
import { blamedCarriers, workGoesOn } from "./work.ts";

// The name in DATABASE_URL is moved to a standby that lacks the primary's last commits. The old primary lives on and
// takes no writes; connections that were open stay with it.

let old: PgBox;
let standby: Standby;
let name: Faultline;
let db: TestDatabase;
let sandbox: Sandbox;
let world: World;
const lanes: Lane[] = [];

beforeAll(async () => {
  if (!canStandby()) return;
  old = await startPgBox({ server: "installed" });
  const own = await old.createMigratedDatabase();
  standby = await old.standby();
  name = await startFaultline(own.url);
  const pool = new pg.Pool({ connectionString: name.url(own.url), query_timeout: 5_000 });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  db = { ...own, url: name.url(own.url), pool };
  await makeRoom(db);
  sandbox = await startSandbox();
  for (let i = 0; i < 2; i++) lanes.push(await openLane(db, environmentOf(sandbox)));
}, 120_000);
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
  await sandbox?.close();
  await db?.pool.end();
  await name?.close();
  await old?.close();
});

/** In a database of a box, as its superuser. */
async function ask<Row extends pg.QueryResultRow>(
  box: PgBox | Standby,
  sql: string,
): Promise<Row[]> {
  const url = new URL(box.adminUrl);
  url.pathname = new URL(db.adminUrl).pathname;
  const client = new pg.Client({
    connectionString: url.href,
    options: "-c default_transaction_read_only=off",
  });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

const notifications = async (box: PgBox | Standby) =>
  (
    await ask<{ told: string }>(
      box,
      `select concat_ws(' ', user_id, book_id, parcel_id, status, status_version) as told from bookpost.notifications`,
    )
  ).map(({ told }) => told);

test.skipIf(!canStandby())(
  "after a failover that lost the last commits, the same workers leave the old primary, which is read-only, and look up again what was lost",
  { timeout: 240_000 },
  async () => {
    // Under way for longer than all of this takes. None is added: a book that was tracked in the lost tail is lost.
    const chance = chanceFrom(61);
    world = await startWorld({ db, sandbox, chance, live: 80, perTick: 4, isClosed: true });
    await until("parcels move", async () => (await notifications(old)).length > 5);
    await standby.catchUp();
    await standby.query("alter system set primary_conninfo = ''");
    await standby.query("select pg_reload_conf()");
    const kept = await until("it follows no more", async () => {
      const receivers = await standby.query("select from pg_stat_wal_receiver");
      return receivers.length === 0 && notifications(standby);
    });
    const told = await until("there is a tail to lose", async () => {
      const all = await notifications(old);
      return all.length >= kept.length + 5 && all;
    });

    const workers = lanes.map((lane) => lane.worker()?.pid);
    const at = performance.now();
    await old.query("alter system set default_transaction_read_only = on");
    await old.query("select pg_reload_conf()");
    name.repoint("127.0.0.1", standby.port);
    await standby.promote();
    await workGoesOn(db);
    const left = () =>
      old.query(
        "select application_name, query from pg_stat_activity where application_name like 'bookpost %' and pid <> pg_backend_pid()",
      );
    await until(
      "no worker is connected with the old primary",
      async () => (await left()).length === 0,
      60_000,
    ).catch(async () => expect(await left()).toEqual([]));
    await reportRecovery({
      point: "failover to a standby: nobody is connected with the old primary any more",
      seconds: [(performance.now() - at) / 1_000],
      promisedSeconds: 30,
    });

    expect(lanes.map((lane) => lane.worker()?.pid)).toEqual(workers);
    await world.settle();
    for (const [what, offenders] of Object.entries(await judgeWorld(db, world.parcels)))
      expect(offenders, what).toEqual([]);
    expect(await judge({ db: db.pool })).toEqual({});
    expect(await blamedCarriers(db)).toEqual([]);
    const again = await notifications(standby);
    expect(new Set(again).size).toBe(again.length);
    // The old one wrote nothing more, so what it had told is all that was lost.
    const keptNow = new Set(await notifications(standby));
    const lost = told.filter((one) => !keptNow.has(one));
    console.log(
      `${told.length} told by the old primary, ${kept.length} of them by the standby at the cut; ${lost.length} never told again`,
    );
  },
);
