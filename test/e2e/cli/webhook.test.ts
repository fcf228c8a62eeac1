import { expect, test } from "vitest";
import { makeUser } from "../../helpers/makeUser.ts";
import { one } from "../../helpers/one.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { bookpost } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpost(["webhook", ...args], { DATABASE_URL: db.url });
const URL_OF_APP = "https://hooks.example/bookpost";

test("an endpoint is added for a user, rotated, disabled and enabled, and its secret is shown when it is made and never again", async () => {
  const userId = await makeUser(db.pool);
  const added = await run("add", URL_OF_APP, "--user", userId.slice(0, 12), "--json");
  expect(added.stderr).toBe("");
  const { id, secret } = JSON.parse(added.stdout);
  expect(JSON.parse(added.stdout)).toMatchObject({ url: URL_OF_APP, userId });
  expect(
    await one(
      db.pool,
      "select secret from bookpost_private.webhook_secrets where endpoint_id = $1",
      [id],
    ),
  ).toEqual({ secret });

  const rotated = JSON.parse((await run("rotate", id, "--overlap", "1h", "--json")).stdout);
  expect(rotated.secret).toMatch(/^whsec_/);
  expect(rotated.secret).not.toBe(secret);

  expect((await run("disable", id.slice(0, 12))).stdout).toBe(`Webhook ${id} is disabled.\n`);
  const list = await run("list");
  expect(list.stdout).toContain("disabled: by hand");
  expect(list.stdout).not.toContain("whsec_");
  expect(JSON.parse((await run("enable", id, "--json")).stdout)).toMatchObject({
    id,
    disabledAt: null,
  });
});

testRefusals(db, "webhook refuses what would never be told, and changes nothing", [
  ["no address", ["webhook", "add", "nowhere"], "needs an https address"],
  ["a password", ["webhook", "add", "https://a:b@hooks.example/"], "without user and password"],
  ["http", ["webhook", "add", "http://hooks.example/"], "use https"],
  ["inside", ["webhook", "add", "https://10.0.0.1/"], "WEBHOOK_ALLOWED_NETWORKS"],
  ["nobody", ["webhook", "add", URL_OF_APP, "--user", "nobody"], 'There is no user "nobody"'],
  ["no webhook", ["webhook", "rotate", "abcd"], 'There is no webhook "abcd"'],
  ["no id", ["webhook", "enable"], "'id'"],
]);
