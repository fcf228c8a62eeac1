import type { ClientBase } from "pg";

/** Runs `work` on this client, in its transaction, as the API would for this member; then it is who it was. */
export async function asMember<T>(
  client: ClientBase,
  userId: string,
  work: () => Promise<T>,
): Promise<T> {
  await client.query("select set_config('bookpost.user_id', $1, true)", [userId]);
  await client.query("set local role bookpost_member");
  try {
    return await work();
  } finally {
    await client.query("reset role");
    await client.query("select set_config('bookpost.user_id', '', true)");
  }
}
