import { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { type CliContext, PROJECT } from "../context.ts";
import { findDatabase } from "../findDatabase.ts";

export function migrateCommand(context: CliContext): Command {
  return new Command("migrate")
    .description("bring roles, queue and schema of the database in use up to date")
    .option(
      "--admin-url <url>",
      "someone who may create roles, needed once: postgres://admin@host/db",
    )
    .action(async (given: { adminUrl?: string }) => {
      if (
        given.adminUrl !== undefined &&
        !/^postgres(ql)?:$/.test(URL.parse(given.adminUrl)?.protocol ?? "")
      )
        throw new UsageError(
          "BAD_ADMIN_URL",
          "--admin-url must be a connection string such as postgres://admin:password@host:5432/database.",
        );
      const { url, adminUrl } = await findDatabase(context.config(), PROJECT);
      // Loaded here: the queue's and the migrator's code take longer to load than most commands to run.
      const { migrate } = await import("../../ops/migrate.ts");
      const { applied } = await migrate({
        databaseUrl: url,
        adminUrl: given.adminUrl ?? adminUrl ?? undefined,
        onProgress: context.remark,
      });
      context.print({
        json: { applied },
        text: () =>
          applied.length === 0
            ? "The database is up to date."
            : `The database is up to date; ran ${applied.join(", ")}.`,
      });
    });
}
