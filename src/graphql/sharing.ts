import {
  loadOneWithPgClient,
  type PgClient,
  sideEffectWithPgClient,
} from "postgraphile/@dataplan/pg";
import type { NodePostgresPgClient } from "postgraphile/@dataplan/pg/adaptors/pg";
import { access, context, type FieldArgs, lambda, object, type Step } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import { readSharedParcels } from "../sql/readSharedParcels.ts";
import { revokeTrackingLink } from "../sql/revokeTrackingLink.ts";
import { shareParcel } from "../sql/shareParcel.ts";

/** A link's page; null where nobody said under which address people reach this server. */
function urlOf({ base, token }: { base?: string | null; token: string }): string | null {
  return base ? `${base}/t/${token}` : null;
}

/** Outside of the plan, so that grafast knows it again and asks once for all. */
const readParcels = (client: PgClient, tokens: readonly string[]) =>
  client.withTransaction((own) =>
    readSharedParcels((own as NodePostgresPgClient).rawClient, tokens),
  );

/** Public links to parcels: a member makes and ends hers, and whoever has a token sees the one parcel. */
export const sharing: GraphileConfig.Plugin = extendSchema((build) => {
  // biome-ignore lint/suspicious/noExplicitAny: only the database knows its tables, and that its clients are node-postgres'.
  const { pgExecutors, pgResources } = build.input.pgRegistry as any;
  const executor = pgExecutors.main;
  const trackingLinks = pgResources.tracking_links;
  return {
    typeDefs: gql`
      extend type Query {
        """
        Where the parcel of a public link is. For whoever has the token: it needs
        no sign-in. Null for a token that nobody has, and for a link that has
        expired or was revoked.
        """
        sharedParcel("As in the link, behind /t/." token: String!): SharedParcel
      }

      """What a public link tells of its parcel: nothing of the book, its owner or the number."""
      type SharedParcel {
        """Who carries it."""
        carrierName: String!
        """Its stage, in the same words for every carrier."""
        status: ParcelStatus!
        """When bookpost learnt of the present status."""
        statusChangedAt: Datetime!
        """Earliest expected delivery, as a wall clock at the destination shows it."""
        estimatedFrom: Datetime
        """Latest expected delivery, as a wall clock at the destination shows it."""
        estimatedUntil: Datetime
        """The zone of the estimate; null: the carrier gave none."""
        estimatedTimeZone: String
        """The carrier gave days, not times of day."""
        isEstimateADate: Boolean!
        """The carrier's own time of delivery; null where it gave no offset or zone: see deliveredLocalTime."""
        deliveredAt: Datetime
        """What the wall clock showed at delivery."""
        deliveredLocalTime: Datetime
        """The zone or offset of the delivery; null: the carrier gave none."""
        deliveredTimeZone: String
        """When it was last scanned; null where the carrier gave no offset or zone: see lastScanLocalTime."""
        lastScanAt: Datetime
        """What the wall clock showed there."""
        lastScanLocalTime: Datetime
        """The zone or offset of the last scan; null: the carrier gave none."""
        lastScanTimeZone: String
        """The carrier gave a day and no time of day."""
        isLastScanADate: Boolean
        """Where it was last scanned, in the carrier's words."""
        lastScanLocation: String
        """Until when the link works."""
        expiresAt: Datetime!
      }

      extend type Mutation {
        """
        Makes a public link to the parcel that a book is in now. A book may have
        20 links that work. Errors: NOT_FOUND, BAD_INPUT, CONFLICT.
        """
        shareBook(input: ShareBookInput!): ShareBookPayload
        """
        Ends a public link, at once and for good. Said again it changes nothing. Errors: NOT_FOUND.
        """
        revokeTrackingLink(input: RevokeTrackingLinkInput!): RevokeTrackingLinkPayload
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

      input RevokeTrackingLinkInput {
        """The link."""
        trackingLinkId: UUID!
      }

      type RevokeTrackingLinkPayload {
        """The link, as it is now."""
        trackingLink: TrackingLink
      }
    `,
    objects: {
      Query: {
        plans: {
          sharedParcel(_$root: Step, fieldArgs: FieldArgs) {
            return loadOneWithPgClient(
              executor,
              fieldArgs.getRaw("token") as Step<string>,
              readParcels,
            );
          },
        },
      },
      Mutation: {
        plans: {
          shareBook(_$root: Step, fieldArgs: FieldArgs) {
            const $made = sideEffectWithPgClient(
              executor,
              object({
                bookId: fieldArgs.getRaw(["input", "bookId"]),
                days: fieldArgs.getRaw(["input", "days"]),
              }),
              (client: NodePostgresPgClient, { bookId, days }: { bookId: string; days?: number }) =>
                client.withTransaction((own) => shareParcel(own.rawClient, bookId, days ?? null)),
            );
            return object({ made: $made });
          },
          revokeTrackingLink(_$root: Step, fieldArgs: FieldArgs) {
            const $id = fieldArgs.getRaw(["input", "trackingLinkId"]);
            const $done = sideEffectWithPgClient(
              executor,
              $id,
              async (client: NodePostgresPgClient, id: string) => {
                await client.withTransaction((own) => revokeTrackingLink(own.rawClient, id));
                return id;
              },
            );
            return object({ id: $done });
          },
        },
      },
      ShareBookPayload: {
        plans: {
          trackingLink($payload: Step) {
            return trackingLinks.get({ id: access($payload, ["made", "linkId"]) as never });
          },
          token($payload: Step) {
            return access($payload, ["made", "token"]);
          },
          url($payload: Step) {
            const $base = access(context(), "publicUrl");
            return lambda(
              object({ base: $base, token: access($payload, ["made", "token"]) }) as never,
              urlOf,
              true,
            );
          },
        },
      },
      RevokeTrackingLinkPayload: {
        plans: {
          trackingLink($payload: Step) {
            return trackingLinks.get({ id: access($payload, "id") as never });
          },
        },
      },
    },
  };
});
