import { type Command, Option } from "commander";
import { readContact } from "../input/contact.ts";
import { readPreferences } from "../input/preferences.ts";
import { type Said, saidText } from "../input/said.ts";
import type { UserChanges } from "../sql/userChanges.ts";

/** As commander gives them: false is what `--no-…` says. */
export interface UserOptions {
  readonly appId?: string | false;
  readonly name?: string | false;
  readonly email?: string | false;
  readonly phone?: string | false;
  readonly country?: string;
  readonly timeZone?: string;
  readonly language?: string;
  readonly quiet?: string | false;
  readonly emailWanted?: "yes" | "no";
  readonly smsWanted?: "yes" | "no";
}

/** What `user add` and `user set` have in common. */
export function addUserOptions(command: Command): Command {
  return command
    .option("--app-id <id>", "your app's own id of this person")
    .option("--name <name>", "as the app shows it")
    .option("--email <address>", "where mail goes")
    .option("--phone <number>", 'as people write it, such as "020 7946 0123"')
    .option("--country <code>", "where --phone is dialled like that, such as GB; not needed with +")
    .option("--time-zone <zone>", "in which times are shown, such as Europe/London")
    .option("--language <tag>", "in which messages are written, such as en or pt-BR")
    .option("--quiet <hours>", "no email or text message in these hours, such as 22:00-07:00")
    .addOption(new Option("--email-wanted <answer>", "whether email is sent").choices(YES_OR_NO))
    .addOption(
      new Option("--sms-wanted <answer>", "whether text messages are sent, once verified").choices(
        YES_OR_NO,
      ),
    );
}

const YES_OR_NO = ["yes", "no"];

/** What can be taken away again. */
export function addRemovals(command: Command): Command {
  for (const [option, what] of [
    ["--no-app-id", "the app knows this person no more"],
    ["--no-name", "without a name"],
    ["--no-email", "without an email address"],
    ["--no-phone", "without a phone number"],
    ["--no-quiet", "messages at any hour"],
  ] as const)
    command.option(option, what);
  return command;
}

/**
 * What the options say, as the database takes it.
 * @throws InputError for what makes no sense by itself; rules of the database are its own business
 */
export async function toChanges(given: UserOptions): Promise<UserChanges> {
  const appUserId = saidText("appId", removable(given.appId));
  const contact = await readContact({
    name: removable(given.name),
    email: removable(given.email),
    phoneNumber: removable(given.phone),
    country: given.country,
  });
  const preferences = readPreferences({
    isEmailWanted: given.emailWanted && given.emailWanted === "yes",
    isSmsWanted: given.smsWanted && given.smsWanted === "yes",
    language: given.language,
    timeZone: given.timeZone,
    quietHours: hoursOf(removable(given.quiet)),
  });
  return { ...(appUserId !== undefined && { appUserId }), ...contact, ...preferences };
}

/** `--no-…` takes away. */
function removable(text: string | false | undefined): Said<string> {
  return text === false ? null : text;
}

/** "22:00-07:00" → both ends; what has no such form is refused as it stands. */
function hoursOf(text: Said<string>): Said<{ from: string; until: string }> {
  if (text === null || text === undefined) return text;
  const [from = "", until = ""] = text.split(/-|–|to/, 2);
  return { from, until };
}
