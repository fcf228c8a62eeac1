import { createClient } from "./client.ts";
import { MyBooks } from "./documents.ts";
import { makeToken } from "./makeToken.ts";

/** app/my-books/route.ts: export const GET = myBooksRoute(…). The app's server asks with the user's token, never with its own. */
export function myBooksRoute(options: {
  readonly url: string;
  readonly secret: string;
  readonly getUserId: (request: Request) => Promise<string | null>;
}) {
  return async (request: Request): Promise<Response> => {
    const userId = await options.getUserId(request);
    if (userId === null) return new Response(null, { status: 401 });
    const getToken = () => makeToken(userId, options.secret);
    const client = createClient({ url: options.url, getToken });
    const { books, currentUser } = await client.ask(MyBooks, { first: 20 });
    return Response.json({ books: books?.nodes, unread: currentUser?.unreadNotificationCount });
  };
}
