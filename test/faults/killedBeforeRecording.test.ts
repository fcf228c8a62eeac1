import { expect, onTestFinished, test } from "vitest";
import { startSandbox } from "../../src/sandbox/server.ts";
import { startFaultline } from "../harness/faultline.ts";
import { judge } from "../harness/judge.ts";
import { offsetTime } from "../helpers/offsetTime.ts";
import { testDatabase } from "../helpers/testDatabase.ts";
import { newNumber, trackBook } from "../helpers/trackBook.ts";
import { until } from "../helpers/until.ts";
import { carrierEnvironment, startWorkerProcess } from "../helpers/workerProcess.ts";

// The whole harness at once: a real worker on a line, killed at a named point of the road; what another makes of it is judged.

const db = testDatabase();

test("of a worker killed before it could write down an answer, nothing is lost and nothing told twice", async () => {
  const sandbox = await startSandbox();
  onTestFinished(() => sandbox.close());
  const line = await startFaultline(db.url);
  onTestFinished(() => line.close());
  const environment = carrierEnvironment(sandbox);
  const first = await startWorkerProcess({ url: line.url(db.url), pool: db.pool }, environment);
  onTestFinished(() => first.close().then(() => {}));
  const watch = line.watch({ direction: "upstream", match: "record_lookups" }, async () => {
    await first.close();
    return "cut";
  });
  for (const carrier of ["dhl", "fedex", "fedex", "ups"]) {
    const number = newNumber();
    sandbox.script(number, { steps: [{ stage: "in_transit", at: offsetTime(50) }] });
    await trackBook(db.pool, carrier, { number });
  }
  await watch.happened;
  // As if its last beat had been long ago.
  await db.pool.query(
    "update bookpost_private.workers set beat_at = beat_at - interval '1 minute'",
  );

  const second = await startWorkerProcess(db, environment);
  onTestFinished(() => second.close().then(() => {}));
  await until("all parcels are on their way", async () => {
    const { rows } = await db.pool.query("select distinct status from bookpost.parcels");
    return rows.length === 1 && rows[0].status === "in_transit";
  });
  await second.stop();

  expect(await judge({ db: db.pool, log: sandbox.log })).toEqual({});
  const { rows } = await db.pool.query(
    "select from bookpost_private.lookups where outcome = 'interrupted'",
  );
  expect(rows.length).toBeGreaterThan(0);
});
