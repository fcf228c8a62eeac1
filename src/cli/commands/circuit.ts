import { userInfo } from "node:os";
import { Argument, Command } from "commander";
import { UsageError } from "../../errors.ts";
import { forceCircuit } from "../../sql/forceCircuit.ts";
import type { CliContext } from "../context.ts";
import { fromNowAndUtc } from "../ownTime.ts";

/** What is typed → what the database calls it. */
const ORDERS = { open: "open", close: "closed", reset: "reset" } as const;

/** Chosen: long enough to call the carrier, short enough to be forgotten without harm; also the database's own. */
const DEFAULT_HOLD = "1 hour";

export function circuitCommand(context: CliContext): Command {
  return new Command("circuit")
    .description("hold a circuit open or closed for a while, or reset it to its own judgement")
    .addArgument(new Argument("<order>", "what to do").choices(Object.keys(ORDERS)))
    .argument("<api>", "the API's code, as npx bookpost circuits lists it")
    .option("--for <time>", `how long to hold it, such as "2 hours" (${DEFAULT_HOLD} if left out)`)
    .option("--reason <reason>", "kept in the log of transitions", "by hand")
    .action(
      (order: keyof typeof ORDERS, apiCode: string, given: { for?: string; reason: string }) => {
        if (order === "reset" && given.for !== undefined)
          throw new UsageError("BAD_HOLD", "A reset holds nothing: leave --for out.");
        return context.withDatabase(async (db) => {
          const circuit = await forceCircuit(db, {
            apiCode,
            to: ORDERS[order],
            author: author(),
            reason: given.reason,
            holdFor: given.for ?? DEFAULT_HOLD,
          }).catch((error: { code?: string }) => {
            throw NO_INTERVAL.has(error.code ?? "") ? badHold(given.for) : error;
          });
          context.print({
            json: circuit,
            text: () =>
              circuit.forcedUntil === null
                ? `The circuit of ${circuit.apiCode} is ${circuit.state} and goes by its own judgement again.`
                : `The circuit of ${circuit.apiCode} is held ${circuit.state}; that ends ${fromNowAndUtc(circuit.forcedUntil)}.`,
          });
        });
      },
    );
}

/** Postgres's SQLSTATEs for a text that is no interval, and one too long. */
const NO_INTERVAL = new Set(["22007", "22008", "22015"]);

function badHold(text: string | undefined): UsageError {
  return new UsageError("BAD_HOLD", `--for must be a time such as "2 hours"; "${text}" is not.`);
}

/** Who gave the order, for the log: a container's user may have no name. */
function author(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.getuid?.() ?? "unknown"}`;
  }
}
