import { Command } from "commander";
import { readParcelsOfBook } from "../../sql/readParcelsOfBook.ts";
import { readWhy, type Why } from "../../sql/readWhy.ts";
import type { CliContext } from "../context.ts";
import { fromNow } from "../ownTime.ts";
import { parseLimit } from "../parseLimit.ts";
import { reasonText } from "../reasonText.ts";
import { resolveBook } from "../resolveBook.ts";
import { type Column, table } from "../table.ts";
import { words } from "../words.ts";

const columns: readonly Column<Why>[] = [
  { title: "carrier", of: ({ carrierCode }) => carrierCode },
  { title: "number", of: ({ trackingNumber }) => trackingNumber },
  { title: "books", of: ({ titles }) => titles, isFree: true },
  { title: "status", of: ({ status }) => words(status) },
  { title: "why", of: reasonText, isFree: true },
  { title: "looked", of: looked, isFree: true },
];

function looked({ lastLookedAt, lastOutcome, lastError }: Why): string {
  if (lastLookedAt === null) return "not yet";
  const outcome = lastOutcome === null ? "" : `, ${words(lastOutcome)}`;
  return `${fromNow(lastLookedAt)}${outcome}${lastError === null ? "" : `: ${lastError}`}`;
}

export function whyCommand(context: CliContext): Command {
  return new Command("why")
    .description("why each live parcel is where it is, and what it waits for")
    .argument("[book]", "only this book's: its id, the beginning of one, or a tracking number")
    .option("--limit <n>", "at most so many, the longest overdue first", parseLimit, 100)
    .action((text: string | undefined, { limit }: { limit: number }) =>
      context.withDatabase(async (db) => {
        const parcels =
          text === undefined ? null : await readParcelsOfBook(db, await resolveBook(db, text));
        // One more than shown tells whether there are more.
        const found = await readWhy(db, parcels?.map((parcel) => parcel.id) ?? null, limit + 1);
        const reasons = found.slice(0, limit);
        context.print({
          json: reasons,
          text: (width) => {
            if (reasons.length > 0) return table(columns, reasons, width);
            if (parcels === null) return "No parcel is live: nothing waits.";
            return `Its parcel is no longer looked up (${parcels[0]?.closedReason ?? "there is none"}): npx bookpost show ${text} tells more.`;
          },
        });
        if (found.length > limit)
          context.remark(`There are more: --limit ${limit * 2} shows them.`);
      }),
    );
}
