import { userInfo } from "node:os";
import { expect, test } from "vitest";
import { makeApi } from "../../helpers/makeApi.ts";
import { one } from "../../helpers/one.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { bookpost } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpost(args, { DATABASE_URL: db.url });

async function circuitOf(apiCode: string) {
  const circuits = JSON.parse((await run("circuits", "--json")).stdout) as { apiCode: string }[];
  return circuits.find((circuit) => circuit.apiCode === apiCode);
}

test("circuits lists each API, and what holds it back", async () => {
  const api = await makeApi(db.pool, {}, { isConfigured: false });
  expect(await circuitOf(api.code)).toMatchObject({
    state: "closed",
    isForced: false,
    heldBy: "not_configured",
    inFlight: 0,
    due: 0,
  });
  expect((await run("circuits")).stdout).toMatch(
    new RegExp(`^${api.code} +closed +not configured`, "m"),
  );
});

test("a circuit is held open for the time told, in the name of who did it, until it is reset", async () => {
  const { code: api } = await makeApi(db.pool);
  const opened = await run("circuit", "open", api, "--for", "2 hours", "--reason", "strike");
  expect(opened.stdout).toMatch(/is held open; that ends in 2 hours/);
  expect(await circuitOf(api)).toMatchObject({
    state: "open",
    isForced: true,
    lastTransition: "strike",
  });
  const { author } = await one<{ author: string }>(
    db.pool,
    "select author from bookpost_private.circuit_transitions where api_code = $1",
    [api],
  );
  expect(author).toBe(userInfo().username);

  const reset = await run("circuit", "reset", api);
  expect(reset.stdout).toContain("goes by its own judgement");
  expect(await circuitOf(api)).toMatchObject({ state: "closed", isForced: false });
});

test("a circuit that has closed after an outage is said to be released gradually, and until when", async () => {
  const { code: api } = await makeApi(db.pool, { release_duration: "10 minutes" });
  await run("circuit", "open", api, "--reason", "strike");
  await run("circuit", "reset", api);
  expect((await run("circuits")).stdout).toMatch(
    new RegExp(`^${api} +closed +gradual release +in (9|10) minutes`, "m"),
  );
});

test("a circuit is held closed for an hour unless told otherwise", async () => {
  const { code: api } = await makeApi(db.pool);
  const { stdout } = await run("circuit", "close", api, "--json");
  const told = JSON.parse(stdout);
  expect(told).toMatchObject({ state: "closed", isForced: true });
  const { fits } = await one<{ fits: boolean }>(
    db.pool,
    "select $1::timestamptz between now() + interval '59 minutes' and now() + interval '61 minutes' as fits",
    [told.forcedUntil],
  );
  expect(fits).toBe(true);
});

testRefusals(db, "circuit refuses what makes no sense, and changes nothing", [
  ["unknown API", ["circuit", "open", "nix"], '"nix"'],
  ["unknown order", ["circuit", "shut", "ups"], "'shut'"],
  ["no time", ["circuit", "open", "ups", "--for", "soon"], '"soon"'],
  ["too long", ["circuit", "open", "ups", "--for", "31 days"], "30 days"],
  ["backwards", ["circuit", "open", "ups", "--for", "-1 hour"], "30 days"],
  ["time for a reset", ["circuit", "reset", "ups", "--for", "1 hour"], "leave --for out"],
  ["no API", ["circuit", "open"], "'api'"],
]);
