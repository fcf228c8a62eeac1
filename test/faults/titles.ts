/** What stands in a title for a value: `%s` and its like, `$name`, `${NAME}`. */
const PLACE = /%[sdifjoO#%]|\$\{[^}]*\}|\$[\w.]+/g;

/** A title as it is written, and all that it becomes when the test runs. */
export function titlePattern(title: string): RegExp {
  const fixed = title.split(PLACE).map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${fixed.join("[^]*")}$`);
}

/** How much of a title names what it is about; a title of places alone would fit everything. */
export function lettersOf(title: string): number {
  return title.replaceAll(PLACE, "").replaceAll(/[^a-z]/gi, "").length;
}

/** Whether a test or a `describe` has this title, by the file's text. */
export function isTitleIn(source: string, title: string): boolean {
  return [JSON.stringify(title), `'${title}'`, `\`${title}\``].some((literal) =>
    source
      .split("\n")
      .some((line) => line.includes(`(${literal},`) || line.trim().startsWith(`${literal},`)),
  );
}
