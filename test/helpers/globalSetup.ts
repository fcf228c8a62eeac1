import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";
import { migrate } from "../../src/ops/migrate.ts";
import { databaseUrl } from "./databaseUrl.ts";

declare module "vitest" {
  interface ProvidedContext {
    adminUrl: string;
    ownerUrl: string;
    apiUrl: string;
  }
}

export const TEMPLATE = "bookpost_template";

/** One Postgres for the whole run, and in it a migrated template that each test file clones. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const root = await mkdtemp(join(tmpdir(), "bookpost-test-"));
  const server = await startEmbeddedPostgres(join(root, ".postgres"), {
    // Tests of crashes start servers of their own, with fsync on.
    settings: { fsync: "off", max_connections: "200" },
  });
  const admin = new pg.Client(server.adminUrl);
  await admin.connect();
  await admin.query(`create database ${TEMPLATE} owner bookpost`);
  await admin.query(`revoke connect, temporary on database ${TEMPLATE} from public`);
  await admin.query(`grant connect on database ${TEMPLATE} to bookpost_authenticator`);
  await admin.end();
  await migrate({
    databaseUrl: databaseUrl(server.url, TEMPLATE),
    adminUrl: server.adminUrl,
  });
  project.provide("adminUrl", server.adminUrl);
  project.provide("ownerUrl", server.url);
  project.provide("apiUrl", server.apiUrl);
  return async () => {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  };
}
