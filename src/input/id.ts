import { InputError } from "../errors.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The id of a row, as `bookpost` has them: a UUID.
 * @param of what it is the id of, such as "user"
 * @throws InputError BAD_ID
 */
export function readId(input: string, of: string, text: string): string {
  if (UUID.test(text)) return text;
  throw new InputError(
    "BAD_ID",
    input,
    (nameOf) =>
      `${nameOf(input)} must be the id of a ${of}, such as 3f0c…-…; "${text.slice(0, 60)}" is not.`,
  );
}
