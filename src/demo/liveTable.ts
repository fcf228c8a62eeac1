import { styleText } from "node:util";
import { fitTo } from "../cli/displayWidth.ts";
import { oneLine } from "../cli/oneLine.ts";
import { table } from "../cli/table.ts";
import { words } from "../cli/words.ts";
import type { CircuitRow } from "../sql/readCircuits.ts";
import type { WatchedBook } from "../sql/watchBooks.ts";

/** Chosen: enough to see them come. */
const MOST_ARRIVALS = 8;

/** What the demo shows: a line per book and one per API, and below them the messages that came last, as many as the screen has room for. */
export function liveTable(
  books: readonly WatchedBook[],
  circuits: readonly CircuitRow[],
  arrivals: readonly string[],
  { columns: width, rows }: { readonly columns: number; readonly rows: number },
): string {
  const list = table<WatchedBook>(
    [
      { title: "Book", of: (book) => book.title, isFree: true },
      { title: "Carrier", of: (book) => book.carrierCode },
      { title: "Number", of: (book) => book.trackingNumber },
      { title: "Status", of: (book) => words(book.status) },
      { title: "Last scan", of: (book) => book.location, isFree: true },
      {
        title: "Now",
        of: (book) => (book.isClosed ? "closed" : words(book.reason ?? "")),
        isFree: true,
      },
    ],
    books,
    width,
  );
  // Those that have moved or are about to; the others are closed.
  const busy = circuits.filter((c) => c.lastTransition !== null || c.consecutiveFailures > 0);
  const breakers = busy.map(({ apiCode, state, consecutiveFailures, lastTransition }) => {
    const colour = state === "closed" ? "green" : state === "open" ? "red" : "yellow";
    const failures =
      state === "closed" && consecutiveFailures > 0 ? `, ${consecutiveFailures} failed` : "";
    const why = lastTransition === null ? "" : `  (${lastTransition})`;
    return `circuit ${apiCode}: ${styleText(colour, words(state))}${failures}${why}`.slice(
      0,
      width + 10,
    );
  });
  const rest = circuits.length - busy.length;
  const above = [list, "", ...breakers, `${rest} other circuits closed`, ""].join("\n").split("\n");
  const room = Math.min(MOST_ARRIVALS, Math.max(1, rows - above.length - 1));
  const newest = arrivals.slice(-room).map((line) => fitTo(oneLine(line), width));
  return [...above, `${arrivals.length} messages have arrived`, ...newest].join("\n");
}
