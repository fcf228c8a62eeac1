import { lambda, object } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import type { Told } from "../notifications/templates/language.ts";
import { sentenceOf } from "../notifications/templates/sentence.ts";

/** The columns of a notification that its sentence is made of. */
const COLUMNS = {
  kind: "kind",
  status: "status",
  detail: "detail",
  estimatedFrom: "estimated_from",
  estimatedUntil: "estimated_until",
  estimatedTimeZone: "estimated_time_zone",
  isEstimateADate: "is_estimate_a_date",
} as const;

type Columns = Omit<Told, "book">;

/** What a person reads in the app: the sentence that emails and text messages begin with. */
export const notificationMessage: GraphileConfig.Plugin = extendSchema({
  typeDefs: gql`
    extend type Notification {
      """
      What it tells in one sentence, in the person's language. Plain text with
      the carrier's words in it: escape it in HTML.
      """
      message: String!
    }
  `,
  objects: {
    Notification: {
      plans: {
        // biome-ignore lint/suspicious/noExplicitAny: the step's type names this table's columns, which only the database knows.
        message($notification: any) {
          const columns = Object.entries(COLUMNS).map(([key, column]) => [
            key,
            $notification.get(column),
          ]);
          return lambda(
            object({
              ...Object.fromEntries(columns),
              title: $notification.singleRelation("booksByMyBookId").get("title"),
              language: $notification.singleRelation("usersByMyUserId").get("language"),
            }),
            // biome-ignore lint/suspicious/noExplicitAny: as above; `COLUMNS` and the lines below it name what is in it.
            ({ title, language, ...news }: any) =>
              // Hidden by row-level security where the book has another owner now.
              sentenceOf({ ...(news as Columns), book: { title: title ?? "" } }, language ?? "en"),
            true,
          );
        },
      },
    },
  },
});
