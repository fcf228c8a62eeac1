import { expect, onTestFinished, test } from "vitest";
import { createPool } from "../../../src/db/pool.ts";
import { createChangeHub } from "../../../src/graphql/subscriptions/changeHub.ts";
import { startFaultline } from "../../harness/faultline.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";

const db = testDatabase();

test("a link that falls silent under the subscriptions, both ends still open, is given up, and nothing is lost", async () => {
  const line = await startFaultline(db.apiUrl);
  onTestFinished(() => line.close());
  const log: string[] = [];
  const hub = createChangeHub({
    pool: createPool(line.url(db.apiUrl), "changes"),
    log: (sentence) => log.push(sentence),
  });
  onTestFinished(() => hub.stop());
  const owner = await makeUser(db.pool);
  const queue = hub.subscribe({
    viewer: { role: "bookpost_member", userId: owner, expiresAt: null, caller: owner },
    kinds: null,
  });
  expect((await queue.next()).value).toEqual({ change: null });
  // The connection there is stays silent; the next one works.
  line.add({ type: "blackhole" }).remove();
  const { rows } = await db.pool.query<{ id: string }>(
    "insert into bookpost.books (owner_id, title) values ($1, 'A book') returning id",
    [owner],
  );
  expect((await queue.next()).value?.change?.bookId).toBe(rows[0]?.id);
  expect(log).toHaveLength(1);
});
