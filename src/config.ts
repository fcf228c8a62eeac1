import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { type AccessConfig, readAccessConfig } from "./accessConfig.ts";
import { parseBaseUrl } from "./carriers/baseUrl.ts";
import type { Credentials } from "./carriers/carrier.ts";
import { adapters } from "./carriers/registry.ts";
import { UsageError } from "./errors.ts";
import { type NotificationConfig, readNotificationConfig } from "./notificationConfig.ts";
import { readVariable, toSecret } from "./readVariable.ts";
import { Secret } from "./secret.ts";

/** How one carrier's API is reached from this process. */
export interface CarrierConfig {
  readonly code: string;
  readonly name: string;
  readonly baseUrl: string;
  /** Null while any is missing: the API is "not configured" here and is not asked. */
  readonly credentials: Credentials | null;
  /** Names of the environment variables that are not set. */
  readonly missing: readonly string[];
}

/** What the environment says, checked once at start. Everything else in bookpost gets it handed in. */
export interface Config {
  /** The app's own Postgres; null means the embedded one under `.postgres/`. */
  readonly databaseUrl: string | null;
  /** The API's own login (bookpost_authenticator); null means the same as `databaseUrl`. */
  readonly apiDatabaseUrl: string | null;
  readonly host: string;
  readonly port: number;
  readonly isDevelopment: boolean;
  /** Signs the API's tokens. Null, and no `access.jwksUrl` either: the API answers on loopback only, with the operator's view. */
  readonly jwtSecret: Secret | null;
  /** What else the API knows of who may ask what. */
  readonly access: AccessConfig;
  /** Whose pages, other than those of the API's own host, may open a WebSocket. */
  readonly allowedOrigins: readonly string[];
  /** By what people are reached. */
  readonly notifications: NotificationConfig;
  /** Jobs one worker process runs at once: by default a slot for each lookup that the configured APIs may have in flight. */
  readonly concurrency: number;
  readonly carriers: ReadonlyMap<string, CarrierConfig>;
}

const postgresUrl = z
  .url({ protocol: /^postgres(ql)?$/ })
  .describe("a connection string such as postgres://user:password@host:5432/database");

const integerBetween = (low: number, high: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number)
    .refine((n) => n >= low && n <= high)
    .describe(`a whole number from ${low} to ${high}`);

/** Variable → its check. `describe` is the way out, as a reader sees it. */
const variables = {
  DATABASE_URL: postgresUrl.optional(),
  API_DATABASE_URL: postgresUrl.optional(),
  HOST: z
    .string()
    .min(1)
    .refine((host) => isIP(host) > 0 || /^[a-z0-9.-]+$/i.test(host))
    .describe("an address or host name such as 127.0.0.1")
    .default("127.0.0.1"),
  PORT: integerBetween(0, 65_535).default(5678),
  NODE_ENV: z
    .enum(["development", "production", "test"])
    .describe("development, production or test")
    .default("development"),
  // HS256 wants a key at least as long as its hash: 32 bytes (RFC 7518, section 3.2).
  JWT_SECRET: z.string().min(32).describe("a secret of at least 32 characters").optional(),
  ALLOWED_ORIGINS: z
    .string()
    .transform((text) => text.split(",").map((origin) => origin.trim()))
    .refine((origins) => origins.every((o) => URL.canParse(o) && new URL(o).origin === o))
    .describe("origins such as https://app.example, with commas between them")
    .optional(),
  BOOKPOST_CONCURRENCY: integerBetween(1, 2_000).optional(),
};

/** What `bookpost.carrier_apis.calls_in_flight` is unless a person has changed it; the worker compares at its start. */
const CALLS_IN_FLIGHT = 10;

/** Chosen: for dispatch and maintain, and for jobs that are refused and leave at once. */
const SPARE_SLOTS = 10;

/**
 * Slots enough for every configured API to have all its calls in flight, with as many parcels in each as it takes.
 * So one that hangs holds its own slots and no others. A job that waits is a promise: it holds no connection.
 */
function slotsFor(carriers: ReadonlyMap<string, CarrierConfig>): number {
  const configured = adapters.filter(({ code }) => carriers.get(code)?.credentials);
  return configured.reduce(
    (slots, { batchSize = 1 }) => slots + CALLS_IN_FLIGHT * batchSize,
    SPARE_SLOTS,
  );
}

/** Values that would print a password: their errors name the variable only. */
const SECRET_VARIABLES = new Set(["DATABASE_URL", "API_DATABASE_URL", "JWT_SECRET"]);

function read<K extends keyof typeof variables>(
  env: NodeJS.ProcessEnv,
  name: K,
): z.output<(typeof variables)[K]> {
  const schema = variables[name] as unknown as z.ZodType<z.output<(typeof variables)[K]>>;
  return readVariable(env, name, schema, { isSecret: SECRET_VARIABLES.has(name) });
}

/** Carriers are asked over https; plain http only on this machine, for a sandbox. */
function readBaseUrl(env: NodeJS.ProcessEnv, name: string, fallback: string): string {
  const text = env[name] || fallback;
  if (parseBaseUrl(text) === null)
    throw new UsageError(
      "BAD_ENVIRONMENT",
      // Whatever stands before an @ may be a password.
      `${name} must be an https address without user, query or fragment (http only for localhost); "${text.replace(/[^/]*@/, "…@")}" is not.`,
    );
  return text;
}

function readCarriers(env: NodeJS.ProcessEnv): ReadonlyMap<string, CarrierConfig> {
  const carriers = new Map<string, CarrierConfig>();
  for (const adapter of adapters) {
    const prefix = adapter.code.toUpperCase();
    const suffixes = Object.keys(adapter.credentials);
    const missing = suffixes.map((s) => `${prefix}_${s}`).filter((name) => !env[name]);
    carriers.set(adapter.code, {
      code: adapter.code,
      name: adapter.name,
      baseUrl: readBaseUrl(env, `${prefix}_BASE_URL`, adapter.baseUrl),
      credentials:
        missing.length > 0
          ? null
          : Object.fromEntries(suffixes.map((s) => [s, new Secret(env[`${prefix}_${s}`] ?? "")])),
      missing,
    });
  }
  return carriers;
}

/**
 * Reads and checks the environment. The only reader of it.
 * @throws UsageError naming the first variable that is wrong, and what it should be.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const carriers = readCarriers(env);
  const jwtSecret = toSecret(read(env, "JWT_SECRET"));
  return {
    databaseUrl: read(env, "DATABASE_URL") ?? null,
    apiDatabaseUrl: read(env, "API_DATABASE_URL") ?? null,
    host: read(env, "HOST"),
    port: read(env, "PORT"),
    isDevelopment: read(env, "NODE_ENV") !== "production",
    jwtSecret,
    access: readAccessConfig(env, { hasSecret: jwtSecret !== null }),
    allowedOrigins: read(env, "ALLOWED_ORIGINS") ?? [],
    notifications: readNotificationConfig(env),
    concurrency: read(env, "BOOKPOST_CONCURRENCY") ?? slotsFor(carriers),
    carriers,
  };
}

/** Adds what `.env` in `directory` says to the environment; what is set already stays. No file: nothing happens. */
export function loadEnvFile(directory: string): void {
  const path = join(directory, ".env");
  if (existsSync(path)) process.loadEnvFile(path);
}
