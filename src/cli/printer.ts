import { oneLine } from "./oneLine.ts";

/** A command's result in both its forms; only the one that is wanted is made. */
export interface Printable {
  /** One value for programs. */
  readonly json: unknown;
  /** For people, without the last line break. */
  text(width: number): string;
}

/** Where results and remarks go. */
export interface Printer {
  readonly isJson: boolean;
  /** The result, on stdout; once per command. */
  print(result: Printable): void;
  /** A remark beside the result, on stderr; for people only, since `json` carries it for programs. */
  remark(sentence: string): void;
  /** Why it did not work, on stderr. */
  printError(error: { readonly code: string; readonly message: string }): void;
}

export function createPrinter({ isJson }: { readonly isJson: boolean }): Printer {
  return {
    isJson,
    print({ json, text }) {
      // A pipe or a file has no width: nothing is cut there.
      const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
      process.stdout.write(`${isJson ? JSON.stringify(json, null, 2) : text(width)}\n`);
    },
    remark(sentence) {
      if (!isJson) process.stderr.write(`${oneLine(sentence)}\n`);
    },
    printError({ code, message }) {
      const sentence = oneLine(message);
      const text = isJson ? JSON.stringify({ error: { code, message: sentence } }) : sentence;
      process.stderr.write(`${text}\n`);
    },
  };
}
