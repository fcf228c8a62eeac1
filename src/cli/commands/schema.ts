import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { withConnection } from "../../db/withConnection.ts";
import { UsageError } from "../../errors.ts";
import { type CliContext, PROJECT } from "../context.ts";
import { lineDiff } from "../lineDiff.ts";

const FILE = join(PROJECT, "migrations/schema.sql");
/** Chosen: more than a screen of differences is not read. */
const SHOWN_DIFFERENCES = 60;

export function schemaCommand(context: CliContext): Command {
  return new Command("schema")
    .description("print the schema of the database in use, as migrations/schema.sql has it")
    .option(
      "--check",
      "compare migrations/schema.sql with what the migrations make; 1 if they differ",
    )
    .option("--write", "write migrations/schema.sql from what the migrations make")
    .action(async ({ check, write }: { check?: boolean; write?: boolean }) => {
      if (check && write)
        throw new UsageError("CHECK_OR_WRITE", "--check or --write: one of them at a time.");
      if (check) return checkFile(context);
      if (write) return writeFileAnew(context);
      const { printSchema } = await import("../../ops/printSchema.ts");
      return context.withDatabase(async (db) => {
        const schema = await printSchema(db);
        context.print({ json: { schema }, text: () => schema.trimEnd() });
      });
    });
}

/** What the migrations make of an empty database, on a server of its own: the one in use may be older or changed by hand. */
async function schemaOfMigrations(): Promise<string> {
  const { printSchema } = await import("../../ops/printSchema.ts");
  const { withTemporaryDatabase } = await import("../../ops/withTemporaryDatabase.ts");
  return withTemporaryDatabase((url) => withConnection(url, printSchema));
}

async function checkFile(context: CliContext): Promise<void> {
  const wanted = await schemaOfMigrations();
  const found = await readFile(FILE, "utf8").catch(() => "");
  const differences = lineDiff(found, wanted);
  context.print({
    json: { isSame: differences.length === 0, differences },
    text: () =>
      differences.length === 0
        ? "migrations/schema.sql is what the migrations make."
        : [
            "migrations/schema.sql (-) is not what the migrations make (+); npx bookpost schema --write puts it right:",
            ...differences.slice(0, SHOWN_DIFFERENCES),
            ...(differences.length > SHOWN_DIFFERENCES
              ? [`… and ${differences.length - SHOWN_DIFFERENCES} more lines`]
              : []),
          ].join("\n"),
  });
  if (differences.length > 0) context.fail();
}

async function writeFileAnew(context: CliContext): Promise<void> {
  await writeFile(FILE, await schemaOfMigrations());
  context.print({
    json: { written: "migrations/schema.sql" },
    text: () => "migrations/schema.sql is written.",
  });
}
