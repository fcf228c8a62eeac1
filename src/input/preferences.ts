import type { UserChanges } from "../sql/userChanges.ts";
import { refusal } from "./refusals.ts";

/** What is said of how a person wants to be told. Only quiet hours can be taken away (null). */
export interface SaidPreferences {
  readonly isEmailWanted?: boolean | null | undefined;
  readonly isSmsWanted?: boolean | null | undefined;
  readonly language?: string | null | undefined;
  readonly timeZone?: string | null | undefined;
  /** By the person's own clock. */
  readonly quietHours?: { readonly from: string; readonly until: string } | null | undefined;
}

/** As the constraint users_language_is_a_tag has it. */
const LANGUAGE = /^[a-z]{2,3}(-[A-Z]{2})?$/;
const HOUR = /^([01]?\d|2[0-3]):[0-5]\d$/;

/**
 * The same as the database takes it; what was left out is undefined.
 * @throws InputError for what makes no sense by itself
 */
export function readPreferences(
  said: SaidPreferences,
): Pick<
  UserChanges,
  "isEmailWanted" | "isSmsWanted" | "language" | "timeZone" | "quietFrom" | "quietUntil"
> {
  const { isEmailWanted, isSmsWanted, language, timeZone, quietHours } = said;
  if (language != null && !LANGUAGE.test(language)) throw refusal("BAD_LANGUAGE", language);
  if (timeZone != null && !isZone(timeZone)) throw refusal("BAD_TIME_ZONE", timeZone);
  return {
    ...(isEmailWanted != null && { isEmailWanted }),
    ...(isSmsWanted != null && { isSmsWanted }),
    ...(language != null && { language }),
    ...(timeZone != null && { timeZone }),
    ...(quietHours !== undefined && readQuietHours(quietHours)),
  };
}

/** Postgres would also take "+5" and "EST5EDT4", by which nobody else can tell the time. */
function isZone(zone: string): boolean {
  try {
    return /^[a-z]/i.test(zone) && Boolean(new Intl.DateTimeFormat("en", { timeZone: zone }));
  } catch {
    return false;
  }
}

function readQuietHours(
  hours: { readonly from: string; readonly until: string } | null,
): Pick<UserChanges, "quietFrom" | "quietUntil"> {
  if (hours === null) return { quietFrom: null, quietUntil: null };
  const [quietFrom, quietUntil] = [hours.from.trim(), hours.until.trim()];
  if (!HOUR.test(quietFrom) || !HOUR.test(quietUntil) || minute(quietFrom) === minute(quietUntil))
    throw refusal("BAD_QUIET_HOURS", [quietFrom, quietUntil].filter(Boolean).join("-"));
  return { quietFrom, quietUntil };
}

/** "7:00" and "07:00" are the same. */
function minute(hour: string): string {
  return hour.padStart(5, "0");
}
