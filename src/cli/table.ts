import { styleText } from "node:util";
import { displayWidth, fitTo } from "./displayWidth.ts";
import { oneLine } from "./oneLine.ts";

export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string | number | null | undefined;
  readonly align?: "right";
  /** May be cut to fit the terminal; ids and numbers to copy may not. */
  readonly isFree?: boolean;
}

const GAP = "  ";
/** Chosen: a cut column keeps room for a word. */
const NARROWEST = 8;

/** Rows under their titles, columns aligned; the widest free columns are cut until a line fits `width`. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
): string {
  const cells = rows.map((row) => columns.map((column) => oneLine(String(column.of(row) ?? ""))));
  const titles = columns.map((column) => column.title);
  // Not one Math.max over all of them: a hundred thousand arguments are too many for a call.
  const widths = columns.map((column, i) =>
    cells.reduce(
      (widest, line) => Math.max(widest, displayWidth(line[i] ?? "")),
      displayWidth(column.title),
    ),
  );
  shrink(columns, widths, width - GAP.length * (columns.length - 1));

  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) => {
        const cut = fitTo(text, widths[i] ?? 0);
        const padding = " ".repeat(Math.max(0, (widths[i] ?? 0) - displayWidth(cut)));
        return columns[i]?.align === "right" ? padding + cut : cut + padding;
      })
      .join(GAP)
      .trimEnd();
  return [styleText("bold", line(titles)), ...cells.map(line)].join("\n");
}

/** Takes from the widest free column, one terminal column at a time, until all fit or none can give more. */
function shrink<Row>(columns: readonly Column<Row>[], widths: number[], room: number): void {
  let excess = widths.reduce((sum, w) => sum + w, 0) - room;
  while (excess > 0) {
    let widest = -1;
    for (const [i, column] of columns.entries()) {
      const least = Math.max(NARROWEST, displayWidth(column.title));
      const isCuttable = column.isFree === true && (widths[i] ?? 0) > least;
      if (isCuttable && (widest < 0 || (widths[i] ?? 0) > (widths[widest] ?? 0))) widest = i;
    }
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
}
