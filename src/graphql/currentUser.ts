import { context, inhibitOnNull, lambda } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";

/** Who is asking, as far as the API knows her. */
export const currentUser: GraphileConfig.Plugin = extendSchema((build) => ({
  typeDefs: gql`
    extend type Query {
      """
      Who is signed in, with her settings. Null for a visitor, and for a token
      of somebody whom bookpost does not know.
      """
      currentUser: User
    }
  `,
  objects: {
    Query: {
      plans: {
        currentUser() {
          // Without it the table would be asked for nobody, which a visitor may not even do.
          const $id = inhibitOnNull(lambda(context().get("pgSettings"), userIdOf));
          // biome-ignore lint/suspicious/noExplicitAny: only the database knows its tables.
          return (build.input.pgRegistry.pgResources as any).users.get({ id: $id });
        },
      },
    },
  },
}));

/** A visitor may have a token too, and may not read the table of users. */
function userIdOf(settings: Readonly<Record<string, string | undefined>> | null): string | null {
  return settings?.role === "bookpost_visitor" ? null : settings?.["bookpost.user_id"] || null;
}
