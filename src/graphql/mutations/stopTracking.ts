import { gql } from "postgraphile/utils";
import { readId } from "../../input/id.ts";
import { stopTracking as callStopTracking } from "../../sql/stopTracking.ts";
import { createMutation } from "./createMutation.ts";

export const stopTracking = createMutation({
  name: "stopTracking",
  typeDefs: gql`
    extend type Mutation {
      """
      Ends the tracking of a book for its owner. Stopped twice, it is stopped
      once; refreshBook begins again.
      """
      stopTracking(input: StopTrackingInput!): StopTrackingPayload
    }

    input StopTrackingInput {
      bookId: UUID!
    }

    type StopTrackingPayload {
      book: Book
    }
  `,
  shows: ["book"],
  read: ({ bookId }: { bookId: string }) => readId("bookId", "book", bookId),
  async run(db, bookId) {
    await callStopTracking(db, bookId);
    return { bookId };
  },
});
