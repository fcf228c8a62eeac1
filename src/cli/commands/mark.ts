import { Command } from "commander";
import { readReason } from "../../input/reason.ts";
import { markBook } from "../../sql/markBook.ts";
import { readBook } from "../../sql/readBook.ts";
import { readParcelsOfBook } from "../../sql/readParcelsOfBook.ts";
import type { CliContext } from "../context.ts";
import { oneLine } from "../oneLine.ts";
import { resolveBook } from "../resolveBook.ts";
import { words } from "../words.ts";

export function markCommand(context: CliContext): Command {
  return new Command("mark")
    .description("say yourself where a book is, where nobody can be asked or the carrier is wrong")
    .argument("<book>", "book id, the beginning of one, or tracking number")
    .argument("<status>", "such as in_transit, delivered, lost or cancelled")
    .option("--reason <reason>", "how you know; kept with the parcel's scans (required)")
    .action((text: string, said: string, { reason }: { reason?: string }) => {
      const why = readReason(reason);
      const status = said.trim().toLowerCase().replaceAll(/[\s-]/g, "_");
      return context.withDatabase(async (db) => {
        const id = await resolveBook(db, text);
        // The present parcel comes first: the one that is marked.
        const [before] = await readParcelsOfBook(db, id);
        await markBook(db, id, status, why);
        const book = await readBook(db, id);
        const parcel = (await readParcelsOfBook(db, id)).find((p) => p.id === before?.id);
        context.print({
          json: {
            book: { id, title: book?.title },
            marked: status,
            parcel: parcel && {
              id: parcel.id,
              carrierCode: parcel.carrierCode,
              trackingNumber: parcel.trackingNumber,
              status: parcel.status,
              closedReason: parcel.closedReason,
            },
          },
          text: () => {
            const marked = `Marked "${oneLine(book?.title ?? "")}" (${parcel?.carrierCode} ${parcel?.trackingNumber}) as ${words(status)}`;
            // The scans decide, and a return stays one however it arrives.
            if (parcel?.status !== status)
              return `${marked}; with all its scans its status is ${words(parcel?.status ?? "unknown")}.`;
            return parcel.closedReason === null
              ? `${marked}.`
              : `${marked}; that ends its tracking.`;
          },
        });
      });
    });
}
