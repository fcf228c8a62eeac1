import { CommanderError } from "commander";
import { mapDatabaseError } from "../db/mapDatabaseError.ts";
import { BookpostError, InputError, UsageError } from "../errors.ts";
import { brokenRule } from "../input/refusals.ts";
import { createContext } from "./context.ts";
import { optionName } from "./optionNames.ts";
import { createProgram } from "./program.ts";

/** Runs one command line (without node and script). Gives the exit code: 0 done, 1 failed, 2 wrong usage. Prints; never throws. */
export async function main(argv: readonly string[]): Promise<0 | 1 | 2> {
  endQuietlyOnBrokenPipe();
  const context = createContext({ isJson: argv.includes("--json") });
  try {
    await createProgram(context).parseAsync(argv, { from: "user" });
    return context.exitCode();
  } catch (error) {
    // Help and version were printed as asked.
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const told = toBookpostError(error);
    context.printError(told);
    return told.exitCode;
  } finally {
    // Whoever ends the process next would cut off what a slow reader has not taken yet.
    await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
  }
}

function toBookpostError(error: unknown): BookpostError {
  if (error instanceof CommanderError) return commandLineError(error);
  const refused = error instanceof InputError ? error : brokenRule(error);
  if (refused !== null)
    return new UsageError(refused.code, refused.tell(optionName), { cause: error });
  const mapped = mapDatabaseError(error);
  if (mapped instanceof BookpostError) return mapped;
  const message = error instanceof Error ? error.message : String(error);
  return new BookpostError("UNEXPECTED", `That did not work: ${message}.`, { cause: error });
}

/** commander says "error: unknown option '--foo'\n(Did you mean --for?)"; called without a command it prints the help itself. */
function commandLineError({ code, message }: CommanderError): BookpostError {
  const sentence =
    code === "commander.help"
      ? "No command was given."
      : `${message
          .replace(/^error: /, "")
          .replaceAll("\n", " ")
          .replace(/\.$/, "")}.`;
  return new BookpostError(
    "USAGE",
    `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)} See npx bookpost --help.`,
    { exitCode: 2 },
  );
}

/** `bookpost list | head -1`: the reader has what it wanted. */
function endQuietlyOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
}
