import type { Config } from "../config.ts";
import { mapDatabaseError } from "../db/mapDatabaseError.ts";
import type { Queryable } from "../db/withTransaction.ts";
import { migrationState } from "../ops/migrationState.ts";
import { readChannels } from "../sql/readChannels.ts";
import { readCircuits } from "../sql/readCircuits.ts";
import { readDeliveryTroubles } from "../sql/readDeliveryTroubles.ts";
import { type Health, readHealth } from "../sql/readHealth.ts";
import { readServer, type ServerFacts } from "../sql/readServer.ts";
import { checkChannelConfig, checkNotifications } from "./checkNotifications.ts";
import { checkTransactions } from "./checkTransactions.ts";
import type { CliContext } from "./context.ts";
import { duration, fromNow } from "./ownTime.ts";
import { words } from "./words.ts";

/** One thing looked at. `note`: not wrong, but good to know. */
export interface Finding {
  readonly name: string;
  readonly state: "well" | "note" | "wrong";
  readonly finding: string;
  /** What to do; null where there is nothing to do. */
  readonly wayOut: string | null;
}

/** package.json's `engines`: from here on Node reads TypeScript by itself. */
const OLDEST_NODE = [22, 18] as const;
/** The majors that the tests run on. */
const POSTGRES_VERSIONS = { oldest: 15, newest: 18 } as const;
/** Chosen: dispatch comes every minute and spreads its jobs over one; five times that is a jam. */
const OVERDUE_MS = 10 * 60_000;
/** As `sweep` counts (`dead_after`). */
const SILENT_MS = 5_000;
/** Chosen: waiting times are told as durations, so seconds do no harm; signed tokens begin to fail beyond a minute. */
const CLOCK_DIFFERENCE_MS = 5_000;

/** Looks at everything there is to look at; each trouble is a finding, never an exception. */
export async function diagnose(context: CliContext): Promise<Finding[]> {
  const findings = [checkNode()];
  let config: Config;
  try {
    config = context.config();
    findings.push(well("environment", "read and understood"));
  } catch (error) {
    return [...findings, wrong("environment", (error as Error).message, null)];
  }
  findings.push(...checkCarriers(config), ...checkChannelConfig(config.notifications));
  try {
    await context.withDatabase(async (db) => {
      findings.push(...(await checkDatabase(db)));
    });
  } catch (error) {
    const mapped = mapDatabaseError(error) as Error;
    findings.push(wrong("postgres", mapped.message, null));
  }
  return findings;
}

function well(name: string, finding: string): Finding {
  return { name, state: "well", finding, wayOut: null };
}

function note(name: string, finding: string, wayOut: string | null): Finding {
  return { name, state: "note", finding, wayOut };
}

function wrong(name: string, finding: string, wayOut: string | null): Finding {
  return { name, state: "wrong", finding, wayOut };
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
    ? well("node", process.versions.node)
    : wrong(
        "node",
        `${process.versions.node} is too old`,
        `npm install brings the right one for npm scripts; else install ${OLDEST_NODE.join(".")} or later`,
      );
}

function checkCarriers(config: Config): Finding[] {
  const all = [...config.carriers.values()];
  const ready = all.filter(({ missing }) => missing.length === 0);
  return [
    ...(ready.length === 0
      ? []
      : [well("carriers", `configured here: ${ready.map(({ name }) => name).join(", ")}`)]),
    ...all
      .filter(({ missing }) => missing.length > 0)
      .map(({ name, missing }) =>
        note("carriers", `${name} is not configured here`, `set ${missing.join(" and ")}`),
      ),
  ];
}

async function checkDatabase(db: Queryable): Promise<Finding[]> {
  const server = await readServer(db);
  const roles = checkRoles(server);
  const findings = [checkVersion(server), roles];
  // Without its role a login may not even read what comes next.
  if (roles.state === "wrong") return findings;
  const state = await migrationState(db);
  if (state.strange.length > 0)
    return [
      ...findings,
      wrong(
        "migrations",
        `the database was migrated by another version of bookpost (${state.strange.join(", ")})`,
        "run that version, or point DATABASE_URL at another database",
      ),
    ];
  if (state.pending.length > 0)
    return [
      ...findings,
      wrong("migrations", `${state.pending.length} have not been run`, "npx bookpost migrate"),
    ];
  const before = Date.now();
  const health = await readHealth(db);
  const clockMs = (before + Date.now()) / 2;
  return [
    ...findings,
    well("migrations", `up to date (${state.applied.length})`),
    checkClock(health.clockMs - clockMs),
    ...checkWorkers(health),
    checkDue(health),
    ...checkScarce(health),
    ...(await checkCircuits(db)),
    checkQuarantine(health),
    ...checkTransactions(health),
    ...checkNeedsPerson(health),
    ...checkNotifications(await readChannels(db), await readDeliveryTroubles(db)),
    ...checkStuck(health),
  ];
}

function checkVersion({ version, majorVersion, login, database, isReplica }: ServerFacts): Finding {
  const { oldest, newest } = POSTGRES_VERSIONS;
  const where = `${version}, database ${database}, login ${login}${isReplica ? ", a replica: reads only" : ""}`;
  if (majorVersion < oldest)
    return wrong("postgres", `${version} is too old`, `use Postgres ${oldest} to ${newest}`);
  if (majorVersion > newest)
    return note("postgres", where, `tested with Postgres ${oldest} to ${newest} only`);
  return well("postgres", where);
}

function checkRoles({ missingRoles, isWorker, login }: ServerFacts): Finding {
  if (missingRoles.length > 0)
    return wrong("roles", `${missingRoles.join(", ")} missing`, "npx bookpost migrate");
  if (!isWorker)
    return wrong(
      "roles",
      `${login} may not do the worker's work`,
      `grant bookpost_worker to ${login}, or npx bookpost migrate --admin-url …`,
    );
  return well("roles", "all there");
}

function checkClock(differenceMs: number): Finding {
  const text = `differs from the database's by ${(Math.abs(differenceMs) / 1000).toFixed(1)} s`;
  return Math.abs(differenceMs) < CLOCK_DIFFERENCE_MS
    ? well("clock", text)
    : wrong("clock", text, "set the clock of this machine or of the database's (NTP)");
}

function checkWorkers({ workers, notConfigured }: Health): Finding[] {
  const alive = workers.filter(({ silentMs }) => silentMs < SILENT_MS);
  if (alive.length === 0)
    return [wrong("workers", "none is alive: nothing is looked up", "npm start")];
  const list = alive
    .map(
      (w) =>
        `${w.hostName} process ${w.processId}, up ${duration(w.ageMs)}, asks ${w.apis.join(", ") || "nobody"}`,
    )
    .join("; ");
  const wrongClocks = alive.filter(
    ({ clockAheadMs }) => Math.abs(clockAheadMs ?? 0) >= CLOCK_DIFFERENCE_MS,
  );
  return [
    well("workers", `${alive.length} alive: ${list}`),
    ...wrongClocks.map(({ hostName, processId, clockAheadMs }) =>
      wrong(
        "clocks",
        `${hostName} process ${processId}: ${duration(Math.abs(clockAheadMs ?? 0))} ${(clockAheadMs ?? 0) > 0 ? "ahead of" : "behind"} the database's; it leaves the crontab to others`,
        "set the clock of that host (NTP)",
      ),
    ),
    ...notConfigured.map(({ apiCode, parcels }) =>
      wrong(
        "carriers",
        `${parcels} ${parcels === 1 ? "parcel waits" : "parcels wait"} for ${apiCode}, and no worker has credentials for it`,
        "set them where the worker runs, and restart it",
      ),
    ),
  ];
}

function checkDue({ longestOverdueMs }: Health): Finding {
  if (longestOverdueMs === null) return well("due", "no parcel waits that could be looked up");
  const text = `the parcel that waits longest has been due for ${duration(longestOverdueMs)}`;
  return longestOverdueMs < OVERDUE_MS
    ? well("due", text)
    : wrong("due", text, "npx bookpost why names it; more workers or a larger allowance help");
}

function checkScarce({ scarce }: Health): Finding[] {
  return scarce.map(({ apiCode, parcels, longestMs }) =>
    note(
      "calls",
      `${parcels} ${parcels === 1 ? "parcel waits" : "parcels wait"} for ${apiCode}, which allows few calls, one for ${duration(longestMs)}`,
      "what matters goes first (npx bookpost why); a larger plan, entered in bookpost.carrier_apis, helps",
    ),
  );
}

/** Kinds of bookpost_ops.needs_person → what they mean. */
const NEEDS: Readonly<Record<string, string>> = {
  not_found: "unknown to their carrier for 30 days",
  malformed: "answered with what makes no sense",
  rejected: "refused by their carrier",
  future_scan: "with a scan from the future, which hides what comes after it",
  earlier_life:
    "with scans of an earlier parcel only (sent more than two weeks before they were tracked? npx bookpost track … --sent-on)",
};

function checkNeedsPerson({ needsPerson }: Health): Finding[] {
  return needsPerson.map(({ kind, parcels }) =>
    note(
      "parcels",
      `${parcels} ${NEEDS[kind] ?? kind}`,
      "npx bookpost sql 'select * from bookpost_ops.needs_person'; correct the number, or stop tracking it",
    ),
  );
}

async function checkCircuits(db: Queryable): Promise<Finding[]> {
  const circuits = await readCircuits(db);
  const findings = circuits.flatMap((circuit): Finding[] => {
    const { apiCode, state, isForced, openUntil, parkedReason, lastTransition } = circuit;
    const parked =
      parkedReason === null
        ? []
        : [
            wrong(
              "parked",
              `${apiCode} refused our credentials (${parkedReason})`,
              `set others and restart the worker, or npx bookpost circuit reset ${apiCode}`,
            ),
          ];
    if (state === "closed" && !isForced) return parked;
    const until = openUntil === null ? "" : ` until ${fromNow(openUntil)}`;
    const how = `${apiCode} is ${words(state)}${isForced ? " by hand" : ""}${state === "open" ? until : ""}: ${lastTransition ?? "no reason kept"}`;
    const finding = isForced ? note : wrong;
    return [
      ...parked,
      finding(
        "circuits",
        how,
        `it ends by itself; npx bookpost circuit reset ${apiCode} ends it now`,
      ),
    ];
  });
  return findings.length > 0 ? findings : [well("circuits", "all closed, no API parked")];
}

function checkQuarantine({ quarantined }: Health): Finding {
  return quarantined === 0
    ? well("quarantine", "no parcel is set aside")
    : wrong(
        "quarantine",
        `${quarantined} ${quarantined === 1 ? "parcel is" : "parcels are"} set aside after a bug of ours`,
        "npx bookpost why shows the error, npx bookpost refresh <book> tries again",
      );
}

function checkStuck({ stuck }: Health): Finding[] {
  if (stuck.length === 0) return [well("stuck", "nothing is busy beyond its time")];
  return stuck.map(({ what, since }) =>
    wrong(
      "stuck",
      `${what}, since ${since}`,
      "a living worker frees it within seconds; if not, tell us",
    ),
  );
}
