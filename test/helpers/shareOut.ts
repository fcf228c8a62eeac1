import type pg from "pg";

/** Works the items off over all clients at once, each client one after the other; the results in the items' order. */
export async function shareOut<Item, Result>(
  clients: readonly pg.Client[],
  items: readonly Item[],
  work: (client: pg.Client, item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const left = items.map((item, i) => ({ item, i }));
  await Promise.all(
    clients.map(async (client) => {
      for (let next = left.shift(); next; next = left.shift())
        results[next.i] = await work(client, next.item);
    }),
  );
  return results;
}
