import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
