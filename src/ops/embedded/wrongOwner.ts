import { BookpostError } from "../../errors.ts";
import { accountId } from "./accountId.ts";

/** The sentence for files of the account `owner`, met by another: typically bookpost was started as root once. */
export async function wrongOwner(home: string, owner: number): Promise<BookpostError> {
  const me = process.getuid?.() ?? 0;
  const theirs = (await accountId("-nu", owner)) ?? owner;
  const mine = (await accountId("-nu", me)) ?? me;
  return new BookpostError(
    "WRONG_OWNER",
    `${home} belongs to ${theirs}, who started bookpost here before, and Postgres runs only as the owner of its files: start as ${theirs}, or give the files to ${mine} with: sudo chown -R ${mine} ${home}`,
  );
}
