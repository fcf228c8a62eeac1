import { Client } from "pg";

/** Logs in at `url`, does `work` on that one connection and closes it. Commits nothing by itself. */
export async function login<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  // Chosen: loopback answers in milliseconds; three seconds are a machine in trouble.
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 3000 });
  // A server that stops ends idle connections with an error event; unheard it would end the process.
  client.on("error", () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
