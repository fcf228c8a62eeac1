import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  buildSchema,
  type GraphQLNamedType,
  isEnumType,
  isInputObjectType,
  isObjectType,
} from "postgraphile/graphql";
import { expect, it } from "vitest";
import { testDatabase } from "../helpers/testDatabase.ts";

const db = testDatabase();
const types: readonly GraphQLNamedType[] = Object.values(
  buildSchema(
    await readFile(join(import.meta.dirname, "../../src/graphql/schema.graphql"), "utf8"),
  ).getTypeMap(),
).filter(({ name }) => !name.startsWith("__"));

const camel = (name: string) => name.replace(/_(\w)/g, (_all, letter) => letter.toUpperCase());

it("no field, argument or type is named after anything of the worker's, the operator's or the queue's", async () => {
  const { rows } = await db.pool.query<{ name: string; is_ours: boolean }>(
    `select x.name, bool_or(n.nspname = 'bookpost') as is_ours
     from (
       select c.relname as name, c.relnamespace as schema from pg_class c where c.relkind in ('r', 'p', 'v', 'm')
       union all select p.proname, p.pronamespace from pg_proc p
       -- What only they have as a column, too: last_error, lease_until, digest.
       union all select a.attname, c.relnamespace from pg_attribute a join pg_class c on c.oid = a.attrelid
       where a.attnum > 0 and c.relkind in ('r', 'p', 'v')
     ) x join pg_namespace n on n.oid = x.schema
     where n.nspname in ('bookpost', 'bookpost_private', 'bookpost_ops', 'graphile_worker', 'graphile_migrate')
     group by 1`,
  );
  const hidden = new Set(rows.filter((r) => !r.is_ours).map((r) => camel(r.name).toLowerCase()));
  expect(hidden.size).toBeGreaterThan(100);
  const named = types.flatMap((type) => [
    type.name,
    ...(isObjectType(type)
      ? Object.values(type.getFields()).flatMap((f) => [f.name, ...f.args.map((a) => a.name)])
      : []),
  ]);
  expect(named.length).toBeGreaterThan(200);
  // By name only: computed columns of bookpost's own that pass on what is meant for people, a scalar, and the word for what opens a public link.
  expect([...new Set(named.filter((name) => hidden.has(name.toLowerCase())))].sort()).toEqual([
    "Date",
    "currentParcel",
    "isOfEarlierLife",
    "lastLookedAt",
    "token",
  ]);
});

it("everything is described: types, fields, arguments, filters and values", () => {
  const bare = types.flatMap((type) => {
    const inside = isObjectType(type)
      ? Object.values(type.getFields()).flatMap((field) => [
          { of: `${type.name}.${field.name}`, it: field },
          ...field.args.map((arg) => ({ of: `${type.name}.${field.name}(${arg.name})`, it: arg })),
        ])
      : isInputObjectType(type)
        ? Object.values(type.getFields()).map((f) => ({ of: `${type.name}.${f.name}`, it: f }))
        : isEnumType(type)
          ? type.getValues().map((value) => ({ of: `${type.name}: ${value.name}`, it: value }))
          : [];
    return [{ of: type.name, it: type }, ...inside]
      .filter(({ it: { description } }) => !description)
      .map(({ of }) => of);
  });
  expect(bare).toEqual([]);
});
