import { InputError } from "../errors.ts";

/**
 * Passes on changes of which there is one at least.
 * @throws InputError NO_CHANGE
 */
export function requireChange<T extends object>(changes: T): T {
  if (Object.keys(changes).length > 0) return changes;
  throw new InputError("NO_CHANGE", "input", () => "Say what is to change; nothing was named.");
}
