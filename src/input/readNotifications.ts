import { timeFromIso } from "../carriers/carrierTime.ts";
import { InputError } from "../errors.ts";
import { readId } from "./id.ts";

/** Which notifications were read: these, or all until a moment. */
export interface SaidReadNotifications {
  readonly ids?: readonly string[] | null;
  readonly upTo?: string | null;
}

/** The most that are named at once. Chosen: the longest page of the API. */
const MOST_IDS = 100;

/**
 * The same as the database takes it: one of the two, the other null.
 * @throws InputError for both, neither, too many ids, and what is no id or no instant
 */
export function readReadNotifications({ ids, upTo }: SaidReadNotifications): {
  readonly ids: readonly string[] | null;
  readonly upTo: string | null;
} {
  if ((ids == null) === (upTo == null))
    throw new InputError(
      "IDS_OR_UP_TO",
      "ids",
      (name) =>
        `Say which notifications were read: ${name("ids")} or ${name("upTo")}, one of them.`,
    );
  if (upTo != null && timeFromIso(upTo)?.timeZone == null)
    throw new InputError(
      "BAD_MOMENT",
      "upTo",
      (name) =>
        `${name("upTo")} must be a moment such as 2025-08-26T15:44:34Z; "${upTo.slice(0, 60)}" is not.`,
    );
  if (ids != null && ids.length > MOST_IDS)
    throw new InputError(
      "TOO_MANY_IDS",
      "ids",
      (name) =>
        `${name("ids")} has ${ids.length}; at most ${MOST_IDS} are taken at once. With ${name("upTo")} there is no limit.`,
    );
  return { ids: ids?.map((id) => readId("ids", "notification", id)) ?? null, upTo: upTo ?? null };
}
