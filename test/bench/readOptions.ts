import { parseArgs } from "node:util";
import { UsageError } from "../../src/errors.ts";

/** A whole number that a bench can be told. */
export interface NumberOption {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Reads a bench's options: `--json`, and the whole numbers it names.
 * @throws UsageError in one sentence for an option that is unknown or makes no sense.
 */
export function readOptions<Name extends string>(
  numbers: Readonly<Record<Name, NumberOption>>,
  args: readonly string[],
): { readonly json: boolean } & Readonly<Record<Name, number>> {
  const names = Object.keys(numbers) as Name[];
  const known = ["--json", ...names.map((name) => `--${name} <number>`)].join(", ");
  const { tokens } = parseArgs({
    args: [...args],
    options: {
      json: { type: "boolean" as const },
      ...Object.fromEntries(names.map((name) => [name, { type: "string" as const }])),
    },
    strict: false,
    tokens: true,
  });
  const chosen = Object.fromEntries(names.map((name) => [name, numbers[name].default]));
  let json = false;
  for (const token of tokens) {
    if (token.kind !== "option" || !(token.name === "json" || Object.hasOwn(numbers, token.name)))
      throw new UsageError(
        "BAD_OPTION",
        `"${token.kind === "option" ? token.rawName : args[token.index]}" is no option of this bench; it knows ${known}.`,
      );
    if (token.name === "json") {
      if (token.value !== undefined) throw new UsageError("BAD_OPTION", "--json takes no value.");
      json = true;
      continue;
    }
    const { min, max } = numbers[token.name as Name];
    const value = Number(token.value ?? Number.NaN);
    if (!/^\d+$/.test(token.value ?? "") || value < min || value > max)
      throw new UsageError(
        "BAD_OPTION",
        `--${token.name} must be a whole number from ${min} to ${max}; "${token.value ?? ""}" is not.`,
      );
    chosen[token.name] = value;
  }
  return { json, ...(chosen as Record<Name, number>) };
}
