import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { userAddCommand } from "./userAdd.ts";
import { userListCommand } from "./userList.ts";
import { userSetCommand } from "./userSet.ts";
import { userShowCommand } from "./userShow.ts";
import { userVerifyCommand } from "./userVerify.ts";

export function userCommand(context: CliContext): Command {
  const command = new Command("user").description(
    "the people who are told, and how: addresses, quiet hours, opting out",
  );
  for (const part of [
    userAddCommand,
    userSetCommand,
    userShowCommand,
    userListCommand,
    userVerifyCommand,
  ])
    command.addCommand(part(context));
  return command;
}
