import type { IncomingMessage, ServerResponse } from "node:http";
import { makeToken } from "./makeToken.ts";

/** app.get("/bookpost-token", sendToken(getUserId, secret)): the page asks this before it asks bookpost. */
export function sendToken(
  getUserId: (request: IncomingMessage) => Promise<string | null>,
  secret: string,
) {
  return async (request: IncomingMessage, response: ServerResponse) => {
    const userId = await getUserId(request);
    response.statusCode = userId === null ? 401 : 200;
    response.setHeader("cache-control", "no-store");
    response.end(userId === null ? "" : await makeToken(userId, secret));
  };
}
