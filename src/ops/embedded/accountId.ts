import { runAs } from "./runAs.ts";

/** What the system's `id` program says of an account: `-u` its number, `-g` its group's, `-nu` its name; null where there is none. */
export async function accountId(
  flag: "-u" | "-g" | "-nu",
  account: string | number,
): Promise<string | null> {
  const { code, output } = await runAs({ prefix: [] }, "id", [flag, String(account)]);
  return code === 0 ? output.trim() : null;
}
