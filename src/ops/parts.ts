import { UsageError } from "../errors.ts";

const PARTS = ["api", "worker"] as const;

/** What `npm start` runs beside Postgres. */
export type Part = (typeof PARTS)[number];

/**
 * Both parts, or the one that `--only` names, so that each can have a host of its own.
 * @throws UsageError
 */
export function readParts(argv: readonly string[]): ReadonlySet<Part> {
  const [option, name, ...rest] = argv;
  if (option === undefined) return new Set(PARTS);
  const part = PARTS.find((p) => p === name);
  if (option === "--only" && part !== undefined && rest.length === 0) return new Set([part]);
  throw new UsageError(
    "BAD_USAGE",
    `start takes nothing, or --only api, or --only worker; not "${argv.join(" ")}".`,
  );
}
