import type { UserDetails } from "../sql/readUser.ts";
import { labels } from "./labels.ts";
import { oneLine } from "./oneLine.ts";
import { fromNow } from "./ownTime.ts";
import { whyNotText } from "./whyNotText.ts";

/** What is known of a person and how she is reached, a line for each. */
export function userText(user: UserDetails): string {
  const { email, name, appUserId, language } = user;
  return labels([
    ["user", user.id],
    ["name", name === null ? null : oneLine(name)],
    ["app's id", appUserId === null ? null : oneLine(appUserId)],
    ["email", email === null ? null : oneLine(email)],
    ["phone", phone(user)],
    ["language", language],
    ["time zone", `${user.timeZone}, where it is ${user.localTime}`],
    ["quiet", quiet(user)],
    ["in the app", `always; ${user.unread} unread`],
    ["by email", reached(user, "email")],
    ["by text", reached(user, "sms")],
    ["books", String(user.books)],
  ]);
}

function phone({ phoneNumber, phoneVerifiedAt }: UserDetails): string | null {
  if (phoneNumber === null) return null;
  return phoneVerifiedAt === null
    ? `${phoneNumber}, not verified`
    : `${phoneNumber}, verified ${fromNow(phoneVerifiedAt)}`;
}

function quiet({ quietFrom, quietUntil, quietEndsAt }: UserDetails): string {
  if (quietFrom === null || quietUntil === null) return "never";
  const now = quietEndsAt === null ? "not now" : `now; ends ${fromNow(quietEndsAt)}`;
  return `${quietFrom} to ${quietUntil} (${now})`;
}

function reached({ channels }: UserDetails, code: string): string | null {
  const channel = channels.find(({ channel }) => channel === code);
  if (channel === undefined) return null;
  if (channel.whyNot !== null) return `no: ${whyNotText(code, channel.whyNot)}`;
  return channel.isConfigured ? "yes" : "no: no worker can send; see npx bookpost doctor";
}
