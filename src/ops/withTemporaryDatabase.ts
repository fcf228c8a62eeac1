import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { login } from "./embedded/login.ts";
import { pollUntil } from "./embedded/pollUntil.ts";
import { startEmbeddedPostgres } from "./embeddedPostgres.ts";
import { migrate } from "./migrate.ts";

/**
 * Gives `work` the address of a freshly migrated database on an embedded server
 * of its own, in a temporary folder; both are gone afterwards, whatever happens.
 * Takes about three seconds.
 */
export async function withTemporaryDatabase<T>(work: (url: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "bookpost-schema-"));
  try {
    // Nothing here outlives a crash of the machine.
    const server = await startEmbeddedPostgres(join(folder, ".postgres"), {
      settings: { fsync: "off" },
    });
    try {
      await migrate({ databaseUrl: server.url, adminUrl: server.adminUrl });
      return await work(server.url);
    } finally {
      await waitUntilAlone(server.adminUrl);
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * graphile-migrate keeps its connections for 200 ms after its work, and ends
 * the whole process, without a word, when the server stops under them.
 */
async function waitUntilAlone(adminUrl: string): Promise<void> {
  await login(adminUrl, (client) =>
    pollUntil(
      async () => {
        const { rows } = await client.query(
          "select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
        );
        return rows.length === 0 ? true : undefined;
      },
      // Chosen: ten times what it takes.
      { patienceMs: 2_000, everyMs: 20 },
    ),
  );
}
