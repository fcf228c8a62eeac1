import type pg from "pg";
import { endsOrWaits } from "./endsOrWaits.ts";

/** Waits until the client's statement waits for a lock of another. Fails when it ends instead. */
export async function untilItWaits(
  watcher: pg.Client | pg.Pool,
  client: pg.Client,
  statement: Promise<unknown>,
): Promise<void> {
  if ((await endsOrWaits(watcher, client, statement)) === "ended")
    throw new Error("the statement did not wait for anybody");
}
