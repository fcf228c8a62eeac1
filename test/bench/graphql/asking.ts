import { once } from "node:events";
import { SignJWT } from "jose";
import type { Load, Work } from "./load.ts";
import type { Owner } from "./makeBooks.ts";
import { LIST, oneBook } from "./pages.ts";
import type { BenchProcess } from "./startProcess.ts";

/** How the same thing is asked of the API and of what is written by hand. */
export type Way = "api" | "hand";

/** An owner and the token that her app holds. */
export interface Asker extends Owner {
  readonly token: string;
}

/** Tokens as an app makes them, good for as long as the bench runs. */
export function signIn(owners: readonly Owner[], secret: string): Promise<Asker[]> {
  const key = new TextEncoder().encode(secret);
  return Promise.all(
    owners.map(async (owner) => ({
      ...owner,
      token: await new SignJWT({ role: "bookpost_member" })
        .setProtectedHeader({ alg: "HS256" })
        .setSubject(owner.id)
        .setExpirationTime("2 hours")
        .sign(key),
    })),
  );
}

/** The request for an owner's list, or for one of her books. */
export function requestOf(
  way: Way,
  page: "list" | "book",
  { token, bookId }: Asker,
): Work["requests"][number] {
  const authorization = `Bearer ${token}`;
  return way === "api"
    ? {
        path: "/graphql",
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: JSON.stringify(page === "list" ? LIST : oneBook(bookId)),
      }
    : {
        path: page === "list" ? "/list" : `/book?id=${bookId}`,
        method: "GET",
        headers: { authorization },
        body: null,
      };
}

/** Has the load process do its work. @throws when any answer was not as it should be. */
export async function ask(loader: BenchProcess<unknown>, work: Work): Promise<Load> {
  loader.child.send(work);
  const [load] = (await once(loader.child, "message")) as [Load];
  if (load.failed > 0) throw new Error(`${load.failed} of ${load.count} requests failed`);
  return load;
}

/** What an answer says, with every time in the same form. */
export async function readAnswer(origin: string, request: Work["requests"][number]) {
  const response = await fetch(origin + request.path, request);
  return JSON.parse(await response.text(), (_key, value) =>
    typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(value)
      ? new Date(value).getTime()
      : value,
  );
}
