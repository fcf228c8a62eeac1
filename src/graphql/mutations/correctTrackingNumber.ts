import { gql } from "postgraphile/utils";
import { readId } from "../../input/id.ts";
import { acceptNumber } from "../../input/trackingNumber.ts";
import { correctTrackingNumber as callCorrectTrackingNumber } from "../../sql/correctTrackingNumber.ts";
import { readCarrierOfBook } from "../../sql/readCarrierOfBook.ts";
import { createMutation } from "./createMutation.ts";

interface Said {
  readonly bookId: string;
  readonly trackingNumber: string;
  readonly carrier?: string | null;
  readonly insist?: boolean | null;
}

export const correctTrackingNumber = createMutation({
  name: "correctTrackingNumber",
  typeDefs: gql`
    extend type Mutation {
      """
      The book travels under another number: it moves to that parcel. What was
      told of the former one stays; the owner's own link to it does not. The
      same number again changes nothing.
      """
      correctTrackingNumber(input: CorrectTrackingNumberInput!): CorrectTrackingNumberPayload
    }

    input CorrectTrackingNumberInput {
      bookId: UUID!

      """Spaces and hyphens as people write them."""
      trackingNumber: String!

      """The carrier's code; left out: the carrier it has now."""
      carrier: String

      """Take a number that does not look like one of this carrier."""
      insist: Boolean
    }

    type CorrectTrackingNumberPayload {
      book: Book

      """A doubt about the number, to be shown to whoever typed it; null: none."""
      warning: String
    }
  `,
  shows: ["book"],
  read: ({ bookId, ...said }: Said) => ({ ...said, bookId: readId("bookId", "book", bookId) }),
  async run(db, { bookId, trackingNumber, carrier, insist }) {
    // Of a book that is in no parcel, or not hers, the database tells.
    const code = carrier ?? (await readCarrierOfBook(db, bookId)) ?? "any";
    const { number, doubt } = acceptNumber(code, trackingNumber, { insist });
    await callCorrectTrackingNumber(db, bookId, number, carrier ?? null);
    return { bookId, warning: doubt };
  },
});
