import { gql } from "postgraphile/utils";
import { readId } from "../../input/id.ts";
import {
  readReadNotifications,
  type SaidReadNotifications,
} from "../../input/readNotifications.ts";
import { markNotificationsRead as callMarkNotificationsRead } from "../../sql/markNotificationsRead.ts";
import { createMutation } from "./createMutation.ts";

interface Said extends SaidReadNotifications {
  readonly userId?: string | null;
}

export const markNotificationsRead = createMutation({
  name: "markNotificationsRead",
  typeDefs: gql`
    extend type Mutation {
      """
      Marks notifications as read: those of some ids, or all until a moment. Ids
      of others, and of what is read already, count for nothing.
      """
      markNotificationsRead(input: MarkNotificationsReadInput!): MarkNotificationsReadPayload
    }

    """Either ids or upTo."""
    input MarkNotificationsReadInput {
      """At most 100."""
      ids: [UUID!]

      """All that were created until this moment (included), such as the newest one's createdAt."""
      upTo: Datetime

      """Whose; left out: who is signed in."""
      userId: UUID
    }

    type MarkNotificationsReadPayload {
      """How many became read."""
      readCount: Int!

      """How many are left unread."""
      unreadCount: Int!
      user: User
    }
  `,
  shows: ["user"],
  read: ({ userId, ...said }: Said) => ({
    ...readReadNotifications(said),
    userId: userId == null ? null : readId("userId", "user", userId),
  }),
  run: callMarkNotificationsRead,
});
