import { loadOneWithPgClient } from "postgraphile/@dataplan/pg";
import type { FieldArgs, Step } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import { readSharedParcels } from "../sql/readSharedParcels.ts";

/** Whoever has the token of a public link sees its one parcel. */
export const sharedParcel: GraphileConfig.Plugin = extendSchema((build) => {
  // biome-ignore lint/suspicious/noExplicitAny: only the database knows its tables, and that its clients are node-postgres'.
  const { pgExecutors } = build.input.pgRegistry as any;
  const executor = pgExecutors.main;
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
    `,
    objects: {
      Query: {
        plans: {
          sharedParcel(_$root: Step, fieldArgs: FieldArgs) {
            return loadOneWithPgClient(
              executor,
              fieldArgs.getRaw("token") as Step<string>,
              readSharedParcels,
            );
          },
        },
      },
    },
  };
});
