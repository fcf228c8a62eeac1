import { oneLine } from "./oneLine.ts";

/** How a person is called where a few letters must do; never by an address. */
export function userName(user: {
  readonly id: string;
  readonly appUserId: string | null;
  readonly name?: string | null;
}): string {
  return oneLine(user.name ?? user.appUserId ?? user.id.slice(0, 8));
}
