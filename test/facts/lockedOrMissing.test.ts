import { expect, test } from "vitest";
import { openClient } from "../helpers/openClient.ts";
import { makeStockQueue } from "../helpers/stock/queue.ts";

test("skip locked answers the same for a row that another has locked and for one that is not there", async () => {
  const queue = await makeStockQueue();
  await queue.pool.query(
    "create table circuits (api text primary key); insert into circuits values ('ups')",
  );
  const [holder, asker] = [await openClient(queue.url), await openClient(queue.url)];
  await holder.query("begin");
  await holder.query("select from circuits where api = 'ups' for update");

  const ask = async (api: string) => {
    const { rows, rowCount, command } = await asker.query(
      "select api from circuits where api = $1 for update skip locked",
      [api],
    );
    return { rows, rowCount, command };
  };
  const ofTheLocked = await ask("ups");
  expect(ofTheLocked.rows).toEqual([]);
  expect(await ask("no such circuit")).toEqual(ofTheLocked);
  await holder.query("rollback");
  expect((await ask("ups")).rows).toEqual([{ api: "ups" }]);
});
