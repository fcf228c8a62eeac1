import { inspect } from "node:util";

/**
 * A credential that cannot be printed by accident: its string, JSON and
 * inspect forms all read `[redacted]`. Only `reveal()` gives the text, so a
 * search for that word finds every place where a secret is used.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): string {
    return "[redacted]";
  }

  [inspect.custom](): string {
    return "[redacted]";
  }
}
