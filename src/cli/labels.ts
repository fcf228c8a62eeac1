import { displayWidth } from "./displayWidth.ts";

/** "label  text" lines with the texts aligned; a line whose text is null is left out. */
export function labels(lines: readonly (readonly [label: string, text: string | null])[]): string {
  const told = lines.filter((line): line is readonly [string, string] => line[1] !== null);
  const width = Math.max(0, ...told.map(([label]) => displayWidth(label)));
  return told.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`).join("\n");
}
