import { Command } from "commander";
import { type ListedUser, listUsers } from "../../sql/listUsers.ts";
import type { CliContext } from "../context.ts";
import { parseLimit } from "../parseLimit.ts";
import { type Column, table } from "../table.ts";
import { words } from "../words.ts";

const columns: readonly Column<ListedUser>[] = [
  { title: "user", of: ({ id }) => id.slice(0, 8) },
  { title: "app's id", of: ({ appUserId }) => appUserId, isFree: true },
  { title: "name", of: ({ name }) => name, isFree: true },
  { title: "email", of: ({ email, whyNotEmail }) => reached(email, whyNotEmail), isFree: true },
  { title: "phone", of: ({ phoneNumber, whyNotSms }) => reached(phoneNumber, whyNotSms) },
  { title: "time zone", of: ({ timeZone }) => timeZone },
  { title: "books", of: ({ books }) => books, align: "right" },
];

function reached(address: string | null, whyNot: string | null): string | null {
  if (address === null) return null;
  return whyNot === null ? address : `${address} (${words(whyNot)})`;
}

export function userListCommand(context: CliContext): Command {
  return new Command("list")
    .description("the people who are told, newest first")
    .option("--limit <n>", "at most so many", parseLimit, 50)
    .action(({ limit }: { limit: number }) =>
      context.withDatabase(async (db) => {
        // One more than shown tells whether there are more.
        const found = await listUsers(db, limit + 1);
        const users = found.slice(0, limit);
        context.print({
          json: users,
          text: (width) =>
            users.length > 0
              ? table(columns, users, width)
              : "No users yet: npx bookpost user add --name '…' --email … adds one.",
        });
        if (found.length > limit)
          context.remark(`There are more: --limit ${limit * 2} shows them.`);
      }),
    );
}
