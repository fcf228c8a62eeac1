import { access, context, lambda, object } from "postgraphile/grafast";
import { gql } from "postgraphile/utils";
import { readId } from "../../input/id.ts";
import { readLinkDays } from "../../input/linkDays.ts";
import { shareParcel } from "../../sql/shareParcel.ts";
import { createMutation } from "./createMutation.ts";

/** A link's page; null where nobody said under which address people reach this server. */
function urlOf({ base, token }: { base?: string | null; token: string }): string | null {
  return base ? `${base}/t/${token}` : null;
}

export const shareBook = createMutation({
  name: "shareBook",
  typeDefs: gql`
    extend type Mutation {
      """
      Makes a public link to the parcel that a book is in now. A book may have
      20 links that work. Errors: NOT_FOUND, BAD_INPUT, CONFLICT.
      """
      shareBook(input: ShareBookInput!): ShareBookPayload
    }

    input ShareBookInput {
      """The book."""
      bookId: UUID!

      """For how many days the link works, 366 at most."""
      days: Int = 30
    }

    type ShareBookPayload {
      """The link, as the book's trackingLinks list it."""
      trackingLink: TrackingLink

      """Opens the page. Told this once, and kept nowhere."""
      token: String!

      """The page's address; null where the server was not told its own (PUBLIC_URL)."""
      url: String
    }
  `,
  shows: ["trackingLink"],
  read: ({ bookId, days }: { bookId: string; days?: number | null }) => ({
    bookId: readId("bookId", "book", bookId),
    days: days == null ? null : readLinkDays(days),
  }),
  async run(db, { bookId, days }) {
    const { linkId, token } = await shareParcel(db, bookId, days);
    return { trackingLinkId: linkId, token };
  },
  plans: {
    url: ($done) =>
      lambda(
        object({ base: access(context(), "publicUrl"), token: access($done, "token") }) as never,
        urlOf,
        true,
      ),
  },
});
