import pg from "pg";
import type { TestProject } from "vitest/node";
import { migrate } from "../../src/ops/migrate.ts";
import { databaseUrl } from "./databaseUrl.ts";
import { startTestServer, type TestServer } from "./testServer.ts";

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
  const server = await startTestServer();
  try {
    await prepareTemplate(server);
  } catch (error) {
    // vitest calls no teardown of a setup that failed.
    await server.stop();
    throw error;
  }
  project.provide("adminUrl", server.adminUrl);
  project.provide("ownerUrl", server.ownerUrl);
  project.provide("apiUrl", server.apiUrl);
  return () => server.stop();
}

async function prepareTemplate(server: TestServer): Promise<void> {
  const admin = new pg.Client(server.adminUrl);
  await admin.connect();
  await admin.query(`drop database if exists ${TEMPLATE} with (force)`);
  await admin.query(`create database ${TEMPLATE} owner bookpost`);
  await admin.query(`revoke connect, temporary on database ${TEMPLATE} from public`);
  await admin.query(`grant connect on database ${TEMPLATE} to bookpost_authenticator`);
  await admin.end();
  await migrate({ databaseUrl: databaseUrl(server.ownerUrl, TEMPLATE), adminUrl: server.adminUrl });
}
