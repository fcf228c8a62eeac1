import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

const OPEN = {
  state: "open",
  opened_at: "2026-01-01",
  open_until: "2026-01-01T00:30",
  cooldown: "30 minutes",
};
const HALF_OPEN = {
  ...OPEN,
  state: "half_open",
  probe_lookup_id: "00000000-0000-4000-8000-000000000001",
  probe_until: "2026-01-01T00:32",
};
const AGREE = "carrier_circuits_state_and_times_agree";
const END = "carrier_circuits_forced_has_an_end";
const SANE = "carrier_circuits_counts_are_sane";

async function tryCircuit(circuit: Readonly<Record<string, unknown>>) {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const columns = Object.keys(circuit);
  return tryOut(
    client,
    `update bookpost.carrier_circuits
     set ${columns.map((column, i) => `${column} = $${i + 2}`).join(", ")} where api_code = $1`,
    [code, ...Object.values(circuit)],
  );
}

test.each([
  ["closed and opened", { opened_at: "2026-01-01" }, AGREE],
  ["closed until later", { open_until: "2026-01-01" }, AGREE],
  ["closed with a cooldown", { cooldown: "1 hour" }, AGREE],
  ["closed with a probe", { probe_lookup_id: HALF_OPEN.probe_lookup_id }, AGREE],
  ["closed with a probe's end", { probe_until: "2026-01-01" }, AGREE],
  ["open since never", { ...OPEN, opened_at: null }, AGREE],
  ["open without end", { ...OPEN, open_until: null }, AGREE],
  ["open without a cooldown", { ...OPEN, cooldown: null }, AGREE],
  ["open with a probe", { ...HALF_OPEN, state: "open", probe_until: null }, AGREE],
  ["open with a probe's end", { ...OPEN, probe_until: "2026-01-01" }, AGREE],
  ["half open without a probe", { ...HALF_OPEN, probe_lookup_id: null }, AGREE],
  ["half open with an endless probe", { ...HALF_OPEN, probe_until: null }, AGREE],
  ["half open since never", { ...HALF_OPEN, opened_at: null }, AGREE],
  ["half open without end", { ...HALF_OPEN, open_until: null }, AGREE],
  ["half open without a cooldown", { ...HALF_OPEN, cooldown: null }, AGREE],
  ["half open by force", { ...HALF_OPEN, is_forced: true, forced_until: "2026-01-01" }, AGREE],
  ["forced without end", { is_forced: true }, END],
  ["not forced and yet until later", { forced_until: "2026-01-01" }, END],
  ["of fewer than no failures", { consecutive_failures: -1 }, SANE],
  ["of generation 0", { generation: 0 }, SANE],
  ["ajar", { ...OPEN, state: "ajar" }, "carrier_circuits_state_fkey"],
])("a circuit cannot be %s", async (_, circuit, constraint) => {
  const refusal = await tryCircuit(circuit);
  // A state outside the list passes the CASE of the first rule (it gives null) and meets the list.
  expect(refusal).toMatchObject({ constraint });
});

test.each([
  ["closed", {}],
  ["closed by force", { is_forced: true, forced_until: "2026-01-01" }],
  ["open", OPEN],
  ["open by force", { ...OPEN, is_forced: true, forced_until: "2026-01-01" }],
  ["half open", HALF_OPEN],
])("a circuit may be %s", async (_, circuit) => {
  expect(await tryCircuit({ consecutive_failures: 0, ...circuit })).toBeNull();
});
