import { afterAll, beforeAll, expect } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { signToken, startTestApi, type TestApi } from "../startTestApi.ts";

/** Who asks: two owners, an operator who is nobody's owner, a visitor without a token, a member whom nobody knows. */
export type Who = "ann" | "ben" | "operator" | "visitor" | "stranger";

export const NOBODY = "00000000-0000-4000-8000-000000000000";

export interface World {
  readonly db: TestDatabase;
  readonly api: TestApi;
  readonly ids: { readonly ann: string; readonly ben: string };
  /** What a mutation answers: its payload. Fails on errors. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came.
  mutate(who: Who, field: string, input: object, selection: string): Promise<any>;
  /** Why it is refused: the one error's message and extensions. Fails where it is not. */
  refusal(
    who: Who,
    field: string,
    input: object,
  ): Promise<{ message: string; extensions: Record<string, unknown> }>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came.
  ask(who: Who, text: string, variables?: Record<string, unknown>): Promise<any>;
}

/** A database and an API over it for a test file. */
export function openWorld(): World {
  const world = {} as { -readonly [K in keyof World]: World[K] };
  const tokens = new Map<Who, string | undefined>();

  function send(who: Who, field: string, input: object, selection: string) {
    const type = `${field.charAt(0).toUpperCase()}${field.slice(1)}Input!`;
    return world.api.query(
      `mutation ($input: ${type}) { ${field}(input: $input) { ${selection} } }`,
      { token: tokens.get(who), variables: { input } },
    );
  }

  world.mutate = async (who, field, input, selection) => {
    const { body } = await send(who, field, input, selection);
    expect(body.errors, JSON.stringify(body.errors)).toBeUndefined();
    return body.data[field];
  };
  world.refusal = async (who, field, input) => {
    const { body } = await send(who, field, input, "__typename");
    expect(body.data?.[field] ?? null).toBeNull();
    expect(body.errors).toHaveLength(1);
    return body.errors[0];
  };
  world.ask = async (who, text, variables) => {
    const { body } = await world.api.query(text, { token: tokens.get(who), variables });
    expect(body.errors, JSON.stringify(body.errors)).toBeUndefined();
    return body.data;
  };

  beforeAll(async () => {
    world.db = await createTestDatabase();
    world.api = await startTestApi(world.db);
    world.ids = { ann: await makeUser(world.db.pool), ben: await makeUser(world.db.pool) };
    tokens.set("ann", await signToken("bookpost_member", world.ids.ann));
    tokens.set("ben", await signToken("bookpost_member", world.ids.ben));
    tokens.set("operator", await signToken("bookpost_operator"));
    tokens.set("stranger", await signToken("bookpost_member", NOBODY));
  });
  afterAll(async () => {
    await world.api?.stop();
    await world.db?.drop();
  });
  return world;
}
