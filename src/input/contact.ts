import { InputError, UsageError } from "../errors.ts";
import type { UserChanges } from "../sql/userChanges.ts";
import { LONGEST, refusal } from "./refusals.ts";
import { type Said, saidText } from "./said.ts";

/** What is said of how a person is called and reached. */
export interface SaidContact {
  readonly name?: Said<string>;
  readonly email?: Said<string>;
  /** As people write it, such as "020 7946 0123". */
  readonly phoneNumber?: Said<string>;
  /** Where it is dialled like that: ISO 3166-1 alpha-2. */
  readonly country?: Said<string>;
}

/** As the constraint users_email_has_one_at has it. */
const EMAIL = /^[^@\s]+@[^@\s]+$/;
const LONGEST_EMAIL = 254;

/**
 * The same as the database takes it; what was left out is undefined.
 * @throws InputError for what makes no sense by itself. No address or number is repeated in it.
 */
export async function readContact(
  said: SaidContact,
): Promise<Pick<UserChanges, "name" | "email" | "phoneNumber">> {
  const name = saidText("name", said.name);
  if (name != null && name.length > LONGEST.name) throw refusal("LONG_NAME", name);
  const email = saidText("email", said.email);
  if (email != null && (email.length > LONGEST_EMAIL || !EMAIL.test(email)))
    throw refusal("BAD_EMAIL");
  const written = saidText("phoneNumber", said.phoneNumber);
  if (written == null && said.country != null) throw refusal("COUNTRY_WITHOUT_PHONE");
  const phoneNumber = written == null ? written : await readPhone(written, said.country);
  return {
    ...(name !== undefined && { name }),
    ...(email !== undefined && { email }),
    ...(phoneNumber !== undefined && { phoneNumber }),
  };
}

async function readPhone(written: string, country: Said<string>): Promise<string> {
  // Loaded here: what is known of the world's numbers takes longer to load than most commands to run.
  const { normalizePhone } = await import("../notifications/phone.ts");
  try {
    return normalizePhone(written, country?.toUpperCase());
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const input = error.code === "UNKNOWN_COUNTRY" ? "country" : "phoneNumber";
    throw new InputError(error.code, input, () => error.message, { cause: error });
  }
}
