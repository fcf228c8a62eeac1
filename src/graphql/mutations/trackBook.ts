import { gql } from "postgraphile/utils";
import { readBook, type SaidBook } from "../../input/newBook.ts";
import { acceptNumber } from "../../input/trackingNumber.ts";
import { trackBook as callTrackBook } from "../../sql/trackBook.ts";
import { createMutation } from "./createMutation.ts";

interface Said extends Omit<SaidBook, "owner"> {
  readonly ownerId?: string | null;
  readonly carrier: string;
  readonly trackingNumber: string;
  readonly insist?: boolean | null;
}

export const trackBook = createMutation({
  name: "trackBook",
  typeDefs: gql`
    extend type Mutation {
      """
      Starts tracking a book. Asked again it returns the same book, by its
      appBookId, or else by its title in the same parcel; with its appBookId and
      another number it moves the book to that parcel.
      """
      trackBook(input: TrackBookInput!): TrackBookPayload
    }

    input TrackBookInput {
      """As the owner wrote it; at most 500 characters."""
      title: String!

      """As the owner wrote it."""
      author: String

      """The carrier's code, such as ups; never guessed from the number."""
      carrier: String!

      """Spaces and hyphens as people write them."""
      trackingNumber: String!

      """Take a number that does not look like one of this carrier."""
      insist: Boolean

      """Whose book it is; left out: who is signed in."""
      ownerId: UUID

      """What it is insured for, as decimal text such as "99.90"."""
      declaredValue: BigFloat

      """Of declaredValue: ISO 4217, such as EUR."""
      declaredCurrency: String

      """The app's own id of this book; unique among one owner's books."""
      appBookId: String

      """A public page to follow the parcel, where it is a special one (https)."""
      trackingUrl: String

      """The day it was posted; needed where that is more than two weeks ago."""
      sentOn: Date
    }

    type TrackBookPayload {
      book: Book

      """A doubt about the number, to be shown to whoever typed it; null: none."""
      warning: String
    }
  `,
  shows: ["book"],
  read({ carrier, trackingNumber, insist, ownerId, ...said }: Said) {
    const book = readBook({ ...said, owner: ownerId });
    const { number, doubt } = acceptNumber(carrier, trackingNumber, { insist });
    return { book: { ...book, carrier, trackingNumber: number }, doubt };
  },
  async run(db, { book, doubt }) {
    const { id } = await callTrackBook(db, book);
    return { bookId: id, warning: doubt };
  },
});
