/** What is set of a person; null takes the value away. What is left out stays, or is what the table has by default. */
export interface UserChanges {
  readonly appUserId?: string | null;
  readonly name?: string | null;
  readonly email?: string | null;
  /** E.164, as `normalizePhone` gives it. */
  readonly phoneNumber?: string | null;
  readonly language?: string;
  readonly timeZone?: string;
  /** "22:00", by the person's own clock. Both, or null both. */
  readonly quietFrom?: string | null;
  readonly quietUntil?: string | null;
  readonly isEmailWanted?: boolean;
  readonly isSmsWanted?: boolean;
}

const COLUMNS: { readonly [K in keyof Required<UserChanges>]: string } = {
  appUserId: "app_user_id",
  name: "name",
  email: "email",
  phoneNumber: "phone_number",
  language: "language",
  timeZone: "time_zone",
  quietFrom: "quiet_from",
  quietUntil: "quiet_until",
  isEmailWanted: "is_email_wanted",
  isSmsWanted: "is_sms_wanted",
};

/** The columns that are set, for a statement's text, and a row of them as JSON, for its value. */
export function columnsOf(changes: UserChanges): { columns: string; row: string } {
  const set = Object.entries(COLUMNS)
    .map(([key, column]) => [column, changes[key as keyof UserChanges]] as const)
    .filter(([, value]) => value !== undefined);
  return {
    columns: set.map(([column]) => column).join(", "),
    row: JSON.stringify(Object.fromEntries(set)),
  };
}
