import { loadOneWithPgClient } from "postgraphile/@dataplan/pg";
import { access, constant, context, lambda, listen, object } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import { changesSince } from "../sql/changesSince.ts";
import { latestCursor } from "../sql/latestCursor.ts";
import { MAX_PAGE_SIZE } from "./limits.ts";
import { checkPageSize } from "./pageSizePlugin.ts";
import type { ChangeHub } from "./subscriptions/changeHub.ts";
import type { Viewer } from "./viewer.ts";

declare global {
  namespace Grafast {
    interface Context {
      /** For whom a document runs. */
      viewer: Viewer;
      changeHub: ChangeHub;
    }
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a step's type names what only the database knows.
type Step = any;

/** Changes since a cursor, and the subscription that says when to ask for them. Not PostGraphile's own connection: that pages by row number. */
export const changes: GraphileConfig.Plugin = extendSchema((build) => {
  const { books, parcels, notifications } = build.pgResources as Record<string, Step>;
  const { executor } = books;
  return {
    typeDefs: gql`
      extend type Query {
        """
        What has changed since a cursor, in an order in which none is left out and
        none told twice, however late it was committed. To keep a copy: ask for
        latestCursor, read what you keep, then ask for the changes after that
        cursor, read anew what they name, and keep endCursor for the next time.
        The error CURSOR_EXPIRED says to begin again. Changes are kept for 30 days.
        """
        changes(
          "How many rows, at most ${String(MAX_PAGE_SIZE)}."
          first: Int = 20
          "A cursor from latestCursor, from a change or from endCursor. Left out: from the oldest change that is kept."
          after: String
        ): ChangeConnection!
        """
        The cursor of now. Ask for it before you read what you keep, not after.
        """
        latestCursor: String!
      }

      "What a change is about."
      enum ChangeKind {
        "The book, or which parcels it travels in."
        BOOK
        "The parcel, its scans, or whether you may see it."
        PARCEL
        "A notification came, was read, or went."
        NOTIFICATION
      }

      """
      Something is not as it was. What it is like now, the thing itself tells; it
      is null where it is gone or no longer yours to see.
      """
      type Change {
        "What it is about."
        kind: ChangeKind!
        "When the transaction began that changed it. No order: the cursor has that."
        changedAt: Datetime!
        "Whose it is, or was."
        userId: UUID!
        "The book: of the kinds BOOK and NOTIFICATION."
        bookId: UUID
        "The parcel: of the kinds PARCEL and NOTIFICATION."
        parcelId: UUID
        "The notification: of the kind NOTIFICATION."
        notificationId: UUID
        book: Book
        parcel: Parcel
        notification: Notification
      }

      "A page of changes."
      type ChangeConnection {
        "Oldest first."
        nodes: [Change!]!
        "The same, each with its cursor."
        edges: [ChangeEdge!]!
        "endCursor is there even where nothing is new: keep it, and ask for the changes after it."
        pageInfo: PageInfo!
      }

      "A change and where to go on after it."
      type ChangeEdge {
        "Give it as after."
        cursor: String!
        "The change."
        node: Change!
      }

      extend type Subscription {
        """
        Says at once when something of yours changes. It may tell a change twice,
        and after a pause it tells none: where change is null you may have missed
        some, so ask for the changes after your cursor. The first event is such a
        null and says that you are listening.
        """
        changed("Left out: all kinds." kinds: [ChangeKind!]): ChangedPayload
      }

      "Something of yours has changed."
      type ChangedPayload {
        "Read when it is sent; null: ask for the changes after your cursor."
        change: Change
      }
    `,
    enums: {
      ChangeKind: {
        values: {
          BOOK: { value: "book" },
          PARCEL: { value: "parcel" },
          NOTIFICATION: { value: "notification" },
        },
      },
    },
    objects: {
      Query: {
        plans: {
          changes(_$root: Step, fieldArgs: Step) {
            return loadOneWithPgClient(
              executor,
              object({
                after: fieldArgs.getRaw("after"),
                first: lambda(
                  fieldArgs.getRaw("first"),
                  (first: Step) => checkPageSize(first),
                  true,
                ),
              }),
              async (client, asked) => {
                const pages = [];
                for (const { after, first } of asked as { after?: string; first: number }[])
                  pages.push(await changesSince(client, after ?? null, first));
                return pages;
              },
            );
          },
          latestCursor() {
            return loadOneWithPgClient(executor, constant(null), async (client, asked) => {
              const cursor = await latestCursor(client);
              return asked.map(() => cursor);
            });
          },
        },
      },
      ChangeConnection: {
        plans: {
          nodes: ($page: Step) => access($page, "changes"),
          edges: ($page: Step) => access($page, "changes"),
          pageInfo: ($page: Step) =>
            object({
              hasNextPage: access($page, "hasNextPage"),
              hasPreviousPage: constant(false),
              startCursor: access($page, ["changes", 0, "cursor"]),
              endCursor: access($page, "endCursor"),
            }),
        },
      },
      ChangeEdge: { plans: { node: ($change: Step) => $change } },
      Change: {
        plans: {
          book: ($change: Step) => books.get({ id: access($change, "bookId") }),
          parcel: ($change: Step) => parcels.get({ id: access($change, "parcelId") }),
          notification: ($change: Step) =>
            notifications.get({ id: access($change, "notificationId") }),
        },
      },
      Subscription: {
        plans: {
          changed: {
            subscribePlan(_$root: Step, fieldArgs: Step) {
              const $interest = object({
                viewer: context().get("viewer"),
                kinds: lambda(fieldArgs.getRaw("kinds"), (kinds) => kinds ?? null, true),
              });
              return listen(context().get("changeHub") as Step, $interest as Step, ($e) => $e);
            },
            plan: ($event: Step) => $event,
          },
        },
      },
    },
  };
});
