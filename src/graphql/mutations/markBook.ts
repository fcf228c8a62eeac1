import { gql } from "postgraphile/utils";
import { readId } from "../../input/id.ts";
import { readReason } from "../../input/reason.ts";
import { markBook as callMarkBook } from "../../sql/markBook.ts";
import { createMutation } from "./createMutation.ts";

interface Said {
  readonly bookId: string;
  readonly mark: string;
  readonly reason: string;
}

export const markBook = createMutation({
  name: "markBook",
  typeDefs: gql`
    extend type Mutation {
      """
      Says how a book's journey has ended, where nobody can be asked or the
      carrier is wrong. It is kept as a scan (rawCode by_hand) with the reason; a
      newer scan of the carrier's goes before it. Of a parcel that other people
      see too, now or later, a member's word changes her own view only: her book
      gets a closed parcel of its own, and refreshBook takes it back.
      """
      markBook(input: MarkBookInput!): MarkBookPayload
    }

    input MarkBookInput {
      bookId: UUID!
      """Where it is."""
      mark: BookMark!

      """How you know; at most 500 characters, kept with the parcel's scans."""
      reason: String!
    }

    """How a person says that a book's journey has ended."""
    enum BookMark {
      """It is with its recipient: status DELIVERED."""
      DELIVERED

      """Nobody knows where it is: status EXCEPTION, reasonCode lost."""
      LOST

      """It is on its way back, or there: status RETURN_TO_SENDER."""
      RETURNED
    }

    type MarkBookPayload {
      book: Book
    }
  `,
  // The words of bookpost.mark_book.
  enums: {
    BookMark: { values: { DELIVERED: "delivered", LOST: "lost", RETURNED: "return_to_sender" } },
  },
  shows: ["book"],
  read: ({ bookId, mark, reason }: Said) => ({
    bookId: readId("bookId", "book", bookId),
    mark,
    reason: readReason(reason),
  }),
  async run(db, { bookId, mark, reason }) {
    await callMarkBook(db, bookId, mark, reason);
    return { bookId };
  },
});
