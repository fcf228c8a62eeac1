import { readId } from "./id.ts";

/**
 * Whose it is; null where it was left out: whoever is signed in, whom the database knows.
 * @throws InputError BAD_ID
 */
export function readUserId(userId: string | null | undefined): string | null {
  return userId == null ? null : readId("userId", "user", userId);
}
