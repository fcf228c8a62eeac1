import type { TestProject } from "vitest/node";
import { prepareTemplate } from "./template.ts";
import { startTestServer } from "./testServer.ts";

declare module "vitest" {
  interface ProvidedContext {
    adminUrl: string;
    ownerUrl: string;
    apiUrl: string;
  }
}

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
