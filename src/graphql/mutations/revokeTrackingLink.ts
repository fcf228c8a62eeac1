import { gql } from "postgraphile/utils";
import { readId } from "../../input/id.ts";
import { revokeTrackingLink as callRevokeTrackingLink } from "../../sql/revokeTrackingLink.ts";
import { createMutation } from "./createMutation.ts";

export const revokeTrackingLink = createMutation({
  name: "revokeTrackingLink",
  typeDefs: gql`
    extend type Mutation {
      """
      Ends a public link, at once and for good. Said again it changes nothing. Errors: NOT_FOUND.
      """
      revokeTrackingLink(input: RevokeTrackingLinkInput!): RevokeTrackingLinkPayload
    }

    input RevokeTrackingLinkInput {
      """The link."""
      trackingLinkId: UUID!
    }

    type RevokeTrackingLinkPayload {
      """The link, as it is now."""
      trackingLink: TrackingLink
    }
  `,
  shows: ["trackingLink"],
  read: ({ trackingLinkId }: { trackingLinkId: string }) =>
    readId("trackingLinkId", "tracking link", trackingLinkId),
  async run(db, trackingLinkId) {
    await callRevokeTrackingLink(db, trackingLinkId);
    return { trackingLinkId };
  },
});
