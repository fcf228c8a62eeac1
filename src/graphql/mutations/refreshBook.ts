import { gql } from "postgraphile/utils";
import { readId } from "../../input/id.ts";
import { refreshBook as callRefreshBook } from "../../sql/refreshBook.ts";
import { createMutation } from "./createMutation.ts";

export const refreshBook = createMutation({
  name: "refreshBook",
  typeDefs: gql`
    extend type Mutation {
      """
      Asks for a look at the book's parcel now, within the carrier's limits: not
      before its least distance from the last look, and not with the parcel's
      calls of the day spent. When it is, nextLookAt tells. A closed parcel is
      opened again.
      """
      refreshBook(input: RefreshBookInput!): RefreshBookPayload
    }

    input RefreshBookInput {
      bookId: UUID!
    }

    type RefreshBookPayload {
      book: Book
    }
  `,
  shows: ["book"],
  read: ({ bookId }: { bookId: string }) => readId("bookId", "book", bookId),
  async run(db, bookId) {
    await callRefreshBook(db, bookId);
    return { bookId };
  },
});
