/** The cursor of now: `bookpost.latest_cursor`. The client is ours or PostGraphile's. */
export async function latestCursor(client: {
  query(query: { text: string; values: unknown[] }): Promise<{ readonly rows: readonly unknown[] }>;
}): Promise<string> {
  const { rows } = await client.query({
    text: "select bookpost.latest_cursor() as cursor",
    values: [],
  });
  return (rows[0] as { cursor: string }).cursor;
}
