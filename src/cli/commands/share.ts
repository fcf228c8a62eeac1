import { Command } from "commander";
import { readLinkDays } from "../../input/linkDays.ts";
import { readBook } from "../../sql/readBook.ts";
import { shareParcel } from "../../sql/shareParcel.ts";
import type { CliContext } from "../context.ts";
import { oneLine } from "../oneLine.ts";
import { resolveBook } from "../resolveBook.ts";

export function shareCommand(context: CliContext): Command {
  return new Command("share")
    .description("make a public link to the parcel a book is in: where it is, and nothing else")
    .argument("<book>", "book id, the beginning of one, or tracking number")
    .option("--days <days>", "for how many days it works, 366 at most", readLinkDays, 30)
    .action((text: string, { days }: { days: number }) =>
      context.withDatabase(async (db) => {
        const id = await resolveBook(db, text);
        const { linkId, token } = await shareParcel(db, id, days);
        const book = await readBook(db, id);
        const { publicUrl } = context.config().access;
        const path = `/t/${token}`;
        context.print({
          json: {
            book: { id, title: book?.title },
            linkId,
            token,
            url: publicUrl === null ? null : `${publicUrl}${path}`,
            days,
          },
          text: () =>
            [
              `${publicUrl ?? "The API's address and "}${path}`,
              `shows where "${oneLine(book?.title ?? "")}" is, for ${days} days, to whoever has it. It is told this once; npx bookpost unshare ${linkId} ends it.`,
            ].join("\n"),
        });
      }),
    );
}
