import { decodeJwt } from "jose";
import { VIEWERS_KEPT, VIEWERS_KEPT_MS } from "./limits.ts";
import type { Viewer } from "./viewer.ts";

type ReadViewer = (authorization: string | undefined) => Promise<Viewer>;

/**
 * The same reader, which does not check a token again that it has found good
 * less than a minute ago and that has not expired since: a check takes 0.1 of
 * the 1.7 ms of CPU that a page of 20 books costs. Refusals are not remembered, and of many tokens the newest stay.
 */
export function rememberViewers(read: ReadViewer): ReadViewer {
  // A Map keeps its order of insertion: the first is the oldest.
  const known = new Map<string, { readonly viewer: Viewer; readonly until: number }>();
  return async (authorization) => {
    if (authorization === undefined) return read(authorization);
    const found = known.get(authorization);
    const now = Date.now();
    if (found !== undefined && now < found.until) return found.viewer;
    known.delete(authorization);
    const viewer = await read(authorization);
    // It has been verified just now, so what it says of its end is true.
    const { exp } = decodeJwt(authorization.replace(/^Bearer +/i, ""));
    if (exp === undefined) return viewer;
    known.set(authorization, { viewer, until: Math.min(exp * 1_000, now + VIEWERS_KEPT_MS) });
    const [oldest] = known.keys();
    if (known.size > VIEWERS_KEPT && oldest !== undefined) known.delete(oldest);
    return viewer;
  };
}
