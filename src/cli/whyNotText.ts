/** The reasons of `bookpost_private.why_not_reached`, by channel → what they mean and the way out. */
const REASONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  email: {
    no_address: "there is no email address",
    opted_out: "opted out; only the person's own word ends that (user set … --opt-in email)",
    not_wanted: "switched off (user set … --email-wanted yes)",
    address_refused:
      "the mail server said that the address does not exist; give another, or opt in again",
  },
  sms: {
    no_address: "there is no phone number",
    opted_out: "opted out by STOP; only the person's own word ends that (user set … --opt-in sms)",
    not_verified: "the number is not verified (user verify …)",
    not_wanted: "switched off (user set … --sms-wanted yes)",
  },
};

/** Why a person is not reached by email or text message, in words. */
export function whyNotText(channel: string, reason: string): string {
  return REASONS[channel]?.[reason] ?? reason.replaceAll("_", " ");
}
