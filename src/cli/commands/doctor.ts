import { styleText } from "node:util";
import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { diagnose, type Finding } from "../diagnose.ts";
import { oneLine } from "../oneLine.ts";

const MARKS = {
  well: { text: "well ", colour: "green" },
  note: { text: "note ", colour: "yellow" },
  wrong: { text: "WRONG", colour: "red" },
} as const;

export function doctorCommand(context: CliContext): Command {
  return new Command("doctor")
    .description("what is well, what is not, and the way out; exit code 1 when something is wrong")
    .action(async () => {
      const findings = await diagnose(context);
      const isWell = !findings.some(({ state }) => state === "wrong");
      context.print({
        json: { isWell, findings },
        text: () =>
          [
            ...findings.map(line),
            isWell ? "All is well." : "Something is wrong; the arrows tell the way out.",
          ].join("\n"),
      });
      if (!isWell) context.fail();
    });
}

function line({ name, state, finding, wayOut }: Finding): string {
  const { text, colour } = MARKS[state];
  const arrow = wayOut === null ? "" : `\n${" ".repeat(19)}→ ${oneLine(wayOut)}`;
  return `${styleText(colour, text)}  ${name.padEnd(10)}  ${oneLine(finding)}${arrow}`;
}
