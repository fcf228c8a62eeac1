import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import type { CarrierConfig, Config } from "../config.ts";
import type { EmbeddedServer } from "./embeddedPostgres.ts";
import type { Part } from "./parts.ts";
import { EMBEDDED_ROOT, PROJECT_ROOT } from "./projectRoot.ts";

export interface Running {
  readonly config: Config;
  readonly parts: ReadonlySet<Part>;
  readonly databaseUrl: string;
  /** Null: the Postgres is the app's own. */
  readonly embedded: Omit<EmbeddedServer, "stop"> | null;
  /** Null: the API does not run here. */
  readonly graphqlUrl: string | null;
}

/** What runs where and how to look inside, as aligned lines for a terminal; without passwords. */
export async function whatRuns(running: Running): Promise<string> {
  const rows = [
    ...describeApi(running),
    ...describePostgres(running).map((line, i) => [i === 0 ? "Postgres" : "", line]),
    ...(running.parts.has("worker") ? await describeWorker(running.config) : []),
  ];
  const width = Math.max(...rows.map(([name = ""]) => name.length));
  return rows.map(([name = "", text]) => `  ${name.padEnd(width)}  ${text}`).join("\n");
}

function describeApi({ config, graphqlUrl }: Running): string[][] {
  if (graphqlUrl === null) return [];
  const page = config.isDevelopment ? [["Ruru", `${new URL("/", graphqlUrl)}`]] : [];
  return [["GraphQL", graphqlUrl], ...page];
}

async function describeWorker({ concurrency, carriers }: Config): Promise<string[][]> {
  return [
    ["Worker", `${concurrency} jobs at once; ${await describeSchedule()}`],
    ...describeCarriers([...carriers.values()]),
  ];
}

function describePostgres({ databaseUrl, embedded }: Running): string[] {
  const { host, pathname } = new URL(databaseUrl);
  const query = "npx bookpost sql 'select * from bookpost_ops.why'";
  if (embedded === null) return [`DATABASE_URL (${host}${pathname})`, query];
  const pgpass = fromHere(join(EMBEDDED_ROOT, "pgpass"));
  return [
    `${host}, its files in ${fromHere(EMBEDDED_ROOT)}`,
    `PGPASSFILE=${pgpass} psql -h 127.0.0.1 -p ${embedded.port} -U bookpost bookpost`,
    query,
  ];
}

/** All that are configured, and of the others one line each with what is missing. */
function describeCarriers(carriers: readonly CarrierConfig[]): string[][] {
  const ready = carriers.filter(({ credentials }) => credentials !== null);
  const others = carriers.filter(({ credentials }) => credentials === null);
  return [
    ["Carriers", ready.length > 0 ? `${names(ready)} configured` : "none configured"],
    ...others.map(({ name, missing }) => ["", `${name}: set ${missing.join(" and ")}`]),
  ];
}

function names(carriers: readonly CarrierConfig[]): string {
  return carriers.map(({ name }) => name).join(", ");
}

/** The crontab's own lines: when, and the task. */
async function describeSchedule(): Promise<string> {
  const crontab = await readFile(join(PROJECT_ROOT, "crontab"), "utf8");
  const lines = crontab.matchAll(/^((?:[^\s#]+ +){5})(\w+)/gm);
  return [...lines].map(([, when = "", task]) => `${task} at "${when.trim()}"`).join(", ");
}

/** As short as it can be typed here. */
function fromHere(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}
