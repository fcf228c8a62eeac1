import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { notifyTestCommand } from "./notifyTest.ts";

export function notifyCommand(context: CliContext): Command {
  return new Command("notify")
    .description("try whether people are reached")
    .addCommand(notifyTestCommand(context));
}
