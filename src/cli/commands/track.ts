import { Command } from "commander";
import { normalizeTrackingNumber, possibleCarriers } from "../../carriers/trackingNumber.ts";
import { UsageError } from "../../errors.ts";
import { readBook } from "../../input/newBook.ts";
import { acceptNumber } from "../../input/trackingNumber.ts";
import { readParcelsOfBook } from "../../sql/readParcelsOfBook.ts";
import { readWhy } from "../../sql/readWhy.ts";
import { trackBook } from "../../sql/trackBook.ts";
import type { CliContext } from "../context.ts";
import { labels } from "../labels.ts";
import { oneLine } from "../oneLine.ts";
import { reasonText } from "../reasonText.ts";

interface TrackOptions {
  title?: string;
  author?: string;
  appBookId?: string;
  value?: string;
  currency?: string;
  owner?: string;
  url?: string;
  sentOn?: string;
  force?: boolean;
}

export function trackCommand(context: CliContext): Command {
  return (
    new Command("track")
      .description("start tracking a book")
      .usage("<carrier> <number> --title <title> [options]")
      // Not required here, so that a forgotten carrier is told of as such.
      .argument("[carrier]", "the carrier's code, such as ups; never guessed from the number")
      .argument("[number]", "the tracking number, spaces and hyphens as you like")
      .option("--title <title>", "the book's title (required)")
      .option("--author <author>")
      .option("--app-book-id <id>", "your app's own id of the book")
      .option("--value <amount>", "what it is insured for, such as 120 or 99.90")
      .option("--currency <code>", "of --value, such as EUR")
      .option("--owner <user id>", "whose book it is (the local user if left out)")
      .option(
        "--url <https address>",
        "a public page to follow the parcel, where it is a special one",
      )
      .option(
        "--sent-on <date>",
        "the day it was posted, such as 2025-08-26; needed if two weeks ago",
      )
      .option("--force", "insist on a number that does not look like one of this carrier")
      .action(
        async (carrier: string | undefined, number: string | undefined, given: TrackOptions) => {
          if (carrier === undefined || number === undefined) throw incomplete(carrier);
          const said = readBook({
            title: given.title,
            author: given.author,
            owner: given.owner,
            declaredValue: given.value,
            declaredCurrency: given.currency,
            appBookId: given.appBookId,
            trackingUrl: given.url,
            sentOn: given.sentOn,
          });
          const { number: trackingNumber, doubt } = acceptNumber(carrier, number, {
            insist: given.force,
          });

          await context.withDatabase(async (db) => {
            const book = await trackBook(db, { ...said, carrier, trackingNumber });
            const parcels = await readParcelsOfBook(db, book.id);
            const parcel = parcels.find(
              (p) =>
                p.carrierCode === carrier &&
                p.trackingNumber === trackingNumber &&
                p.closedAt === null,
            );
            const [why] = parcel === undefined ? [] : await readWhy(db, [parcel.id], 1);
            if (doubt !== null) context.remark(`Note: ${doubt}.`);
            context.print({
              json: {
                book,
                parcel: parcel && {
                  id: parcel.id,
                  carrierCode: parcel.carrierCode,
                  trackingNumber: parcel.trackingNumber,
                  status: parcel.status,
                  nextLookAt: parcel.nextLookAt,
                  trackingPage: parcel.trackingPage,
                },
                why: why && { reason: why.reason, until: why.until },
                warning: doubt,
              },
              text: () =>
                [
                  `Tracking "${oneLine(book.title)}".`,
                  labels([
                    ["book", book.id],
                    ["parcel", `${carrier} ${trackingNumber}`],
                    ["next look", why === undefined ? null : reasonText(why)],
                    ["page", parcel?.trackingPage ?? null],
                    ["see it", `npx bookpost show ${book.id.slice(0, 8)}`],
                  ]),
                ].join("\n"),
            });
          });
        },
      )
  );
}

const CHOICE = new Intl.ListFormat("en-GB", { type: "disjunction" });

/** Carrier or number is missing. Whose number it could be is told; none is taken. */
function incomplete(only = ""): UsageError {
  const number = normalizeTrackingNumber(only);
  const codes = possibleCarriers(number);
  return new UsageError(
    "NO_CARRIER",
    codes.length === 0
      ? "Give the carrier and the number: npx bookpost track ups 1Z… --title '…'. The carrier is always said, never guessed from the number."
      : `Say who carries it: npx bookpost track <carrier> ${number} --title '…'. By its form it could be ${CHOICE.format(codes)}, but the carrier is always said, never guessed from the number.`,
  );
}
