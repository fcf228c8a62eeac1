import { htmlEscape } from "escape-goat";

/** HTML that is finished: put into more HTML, it is not escaped again. */
export class Html {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

type Part = string | number | Html | readonly Html[] | null;

/** A template of HTML: texts in it are escaped, `Html` is not, null is nothing. */
export function html(template: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(String.raw({ raw: template }, ...parts.map(written)));
}

function written(part: Part): string {
  if (part === null) return "";
  if (part instanceof Html) return part.toString();
  if (typeof part === "object") return part.join("");
  return htmlEscape(String(part));
}
