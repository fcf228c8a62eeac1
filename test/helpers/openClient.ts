import pg from "pg";
import { onTestFinished } from "vitest";

/** A connection of its own, closed when the test ends. */
export async function openClient(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, options: "-c timezone=UTC" });
  client.on("error", () => {});
  onTestFinished(() => client.end());
  await client.connect();
  return client;
}

/** So many of them. */
export function openClients(url: string, count: number): Promise<pg.Client[]> {
  return Promise.all(Array.from({ length: count }, () => openClient(url)));
}
