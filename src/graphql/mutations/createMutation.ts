import { sideEffectWithPgClient } from "postgraphile/@dataplan/pg";
import type { NodePostgresPgClient } from "postgraphile/@dataplan/pg/adaptors/pg";
import { access, context, lambda } from "postgraphile/grafast";
import { extendSchema, type gql } from "postgraphile/utils";
import type { Queryable } from "../../db/withTransaction.ts";
import { inApiWords } from "./inApiWords.ts";
import { requireSignedIn } from "./requireSignedIn.ts";

/** What a mutation has done: the rows that its payload shows, and the payload's own fields. */
export interface Done {
  readonly bookId?: string;
  readonly userId?: string;
  readonly trackingLinkId?: string;
  readonly [field: string]: unknown;
}

export interface MutationSpec<Said, Meant> {
  /** The field of Mutation. Its payload has the same name, as in TrackBookPayload. */
  readonly name: string;
  readonly typeDefs: ReturnType<typeof gql>;
  readonly enums?: Readonly<Record<string, { values: Readonly<Record<string, string>> }>>;
  /** Fields of the payload that show a row as it is after the commit, read with the viewer's own rights. */
  readonly shows: readonly (keyof typeof SHOWN)[];
  /** Fields of the payload that take more than what `run` gave, each from a step of that. */
  // biome-ignore lint/suspicious/noExplicitAny: a step's type names what only the database knows.
  readonly plans?: Readonly<Record<string, ($done: any) => unknown>>;
  /**
   * Checks what was said, before a connection is taken.
   * @throws InputError
   */
  read(said: Said): Meant | Promise<Meant>;
  /** Calls the database's function, as the viewer and in one transaction, which commits when it resolves. */
  run(db: Queryable, meant: Meant): Promise<Done>;
}

/** Field of a payload → the table it shows a row of, and where `Done` has its id. */
const SHOWN = {
  book: { table: "books", id: "bookId" },
  user: { table: "users", id: "userId" },
  trackingLink: { table: "tracking_links", id: "trackingLinkId" },
} as const;

/**
 * One field of Mutation, with one `input` and a payload; the input may be left
 * out where the mutation has a meaning without any of its fields. Whether the viewer may
 * is the database's to decide; refusals arrive as code and sentence.
 */
export function createMutation<Said, Meant>(
  spec: MutationSpec<Said, Meant>,
): GraphileConfig.Plugin {
  const payload = `${spec.name.charAt(0).toUpperCase()}${spec.name.slice(1)}Payload`;
  return extendSchema((build) => {
    // biome-ignore lint/suspicious/noExplicitAny: only the database knows its tables.
    const resources = build.input.pgRegistry.pgResources as any;
    return {
      typeDefs: spec.typeDefs,
      ...(spec.enums && { enums: spec.enums }),
      objects: {
        Mutation: {
          plans: {
            // biome-ignore lint/suspicious/noExplicitAny: the schema says what is in it.
            [spec.name](_$root: unknown, { $input }: any) {
              const $meant = lambda([$input, context().get("pgSettings")], ([said, settings]) =>
                inApiWords(async () => {
                  requireSignedIn(settings?.role);
                  // Left out only where a mutation's `input` may be: then it has no required field.
                  return spec.read((said ?? {}) as Said);
                }),
              );
              return sideEffectWithPgClient(
                resources.users.executor,
                $meant,
                (client: NodePostgresPgClient, meant: Meant) =>
                  inApiWords(() => client.withTransaction((own) => spec.run(own.rawClient, meant))),
              );
            },
          },
        },
        [payload]: {
          plans: {
            ...Object.fromEntries(
              spec.shows.map((field) => [
                field,
                // biome-ignore lint/suspicious/noExplicitAny: a step of what `run` gave.
                ($done: any) => {
                  const { table, id } = SHOWN[field];
                  return resources[table].get({ id: access($done, id) });
                },
              ]),
            ),
            ...spec.plans,
          },
        },
      },
    };
  }, `Bookpost${payload}Plugin`);
}
