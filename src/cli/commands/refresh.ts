import { Command } from "commander";
import { readBook } from "../../sql/readBook.ts";
import { readParcelsOfBook } from "../../sql/readParcelsOfBook.ts";
import { readWhy } from "../../sql/readWhy.ts";
import { refreshBook } from "../../sql/refreshBook.ts";
import type { CliContext } from "../context.ts";
import { oneLine } from "../oneLine.ts";
import { reasonText } from "../reasonText.ts";
import { resolveBook } from "../resolveBook.ts";

export function refreshCommand(context: CliContext): Command {
  return new Command("refresh")
    .description("ask for a look at a book's parcel now, within the carrier's limits")
    .argument("<book>", "book id, the beginning of one, or tracking number")
    .action((text: string) =>
      context.withDatabase(async (db) => {
        const id = await resolveBook(db, text);
        await refreshBook(db, id);
        const book = await readBook(db, id);
        // The present parcel comes first: the one that was refreshed.
        const [parcel] = await readParcelsOfBook(db, id);
        const [why] = parcel === undefined ? [] : await readWhy(db, [parcel.id], 1);
        context.print({
          json: {
            book: { id, title: book?.title },
            parcel: parcel && {
              id: parcel.id,
              carrierCode: parcel.carrierCode,
              trackingNumber: parcel.trackingNumber,
              nextLookAt: parcel.nextLookAt,
            },
            why: why && { reason: why.reason, until: why.until },
          },
          text: () =>
            `Asked for a look at "${oneLine(book?.title ?? "")}" (${parcel?.carrierCode} ${parcel?.trackingNumber})${why === undefined ? "" : `: ${reasonText(why)}`}.`,
        });
      }),
    );
}
