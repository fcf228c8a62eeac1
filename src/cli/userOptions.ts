import { type Command, Option } from "commander";
import { UsageError } from "../errors.ts";
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
 * @throws UsageError for what makes no sense by itself; rules of the database are its own business
 */
export async function toChanges(given: UserOptions): Promise<UserChanges> {
  const { timeZone, language, emailWanted, smsWanted } = given;
  if (given.country !== undefined && typeof given.phone !== "string")
    throw new UsageError(
      "COUNTRY_WITHOUT_PHONE",
      '--country goes with --phone: --phone "020 7946 0123" --country GB.',
    );
  return {
    ...said("appUserId", textOf("--app-id", given.appId)),
    ...said("name", textOf("--name", given.name)),
    ...said("email", textOf("--email", given.email)),
    ...said("phoneNumber", await phoneOf(given)),
    ...said("language", language),
    ...said("timeZone", timeZone && knownZone(timeZone)),
    ...said("isEmailWanted", emailWanted && emailWanted === "yes"),
    ...said("isSmsWanted", smsWanted && smsWanted === "yes"),
    ...quietHours(given.quiet),
  };
}

function said<K extends keyof UserChanges>(key: K, value: unknown): Partial<UserChanges> {
  return value === undefined ? {} : { [key]: value };
}

function textOf(option: string, text: string | false | undefined): string | null | undefined {
  if (text === undefined) return undefined;
  if (text === false) return null;
  if (text.trim() === "")
    throw new UsageError("EMPTY_VALUE", `${option} is empty: leave it out, or give it a value.`);
  return text.trim();
}

async function phoneOf({ phone, country }: UserOptions): Promise<string | null | undefined> {
  const written = textOf("--phone", phone);
  if (written == null) return written;
  // Loaded here: what is known of the world's numbers takes longer to load than most commands to run.
  const { normalizePhone } = await import("../notifications/phone.ts");
  return normalizePhone(written, country?.toUpperCase());
}

/** Postgres would also take "+5" and "EST5EDT4", by which nobody else can tell the time. */
function knownZone(zone: string): string {
  try {
    if (/^[a-z]/i.test(zone)) return new Intl.DateTimeFormat("en", { timeZone: zone }) && zone;
  } catch {
    // Told below.
  }
  throw new UsageError(
    "BAD_TIME_ZONE",
    `--time-zone must be a zone such as Europe/London or America/New_York; "${zone}" is not.`,
  );
}

const HOURS = /^\s*((?:[01]?\d|2[0-3]):[0-5]\d)\s*(?:-|–|to)\s*((?:[01]?\d|2[0-3]):[0-5]\d)\s*$/;

function quietHours(text: string | false | undefined): Partial<UserChanges> {
  if (text === undefined) return {};
  if (text === false) return { quietFrom: null, quietUntil: null };
  const [, quietFrom, quietUntil] = HOURS.exec(text) ?? [];
  if (quietFrom === undefined || quietUntil === undefined || quietFrom === quietUntil)
    throw new UsageError(
      "BAD_QUIET_HOURS",
      `--quiet must be two different hours such as 22:00-07:00; "${text}" is not.`,
    );
  return { quietFrom, quietUntil };
}
