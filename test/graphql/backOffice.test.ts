import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, type MockInstance, vi } from "vitest";
import { questions } from "../../docs/example/backOffice.ts";
import { apiClient } from "../helpers/apiClient.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { readExample } from "../helpers/readExample.ts";
import { seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

const NOW = new Date();
const asked = questions(NOW);
type Question = keyof typeof asked;
const QUESTIONS = Object.keys(asked) as Question[];

let db: TestDatabase;
let api: TestApi;
let text: string;
const people: Record<"dealer" | "collector" | "newcomer", string> = {
  dealer: "",
  collector: "",
  newcomer: "",
};
type Who = keyof typeof people | "operator";
const tokens: Record<string, string> = {};

/** Before any connection is made: a pool keeps the function that a connection had when it came. */
const sent = vi.spyOn(pg.Client.prototype, "query") as unknown as MockInstance<
  (query: unknown) => unknown
>;

/** Title → what its parcel is, in SQL; two in one parcel are named alike before the dash. */
const BOOKS: readonly {
  readonly owner: keyof typeof people;
  readonly title: string;
  readonly number: string;
  readonly is?: string;
}[] = [
  { owner: "dealer", title: "Emma", number: "1Z999AA10123456701", is: overdue(2) },
  { owner: "dealer", title: "Dracula", number: "1Z999AA10123456702", is: overdue(5) },
  // In one parcel, of two owners.
  { owner: "dealer", title: "Ulysses", number: "1Z999AA10123456703" },
  { owner: "collector", title: "Walden", number: "1Z999AA10123456703", is: overdue(9) },
  { owner: "dealer", title: "Kim", number: "1Z999AA10123456704", is: `${overdue(-1)}` },
  {
    owner: "dealer",
    title: "She",
    number: "1Z999AA10123456705",
    is: `${overdue(4)}, status = 'delivered'`,
  },
  {
    owner: "dealer",
    title: "Lost Horizon",
    number: "1Z999AA10123456706",
    is: `${overdue(4)}, status = 'exception', status_changed_at = now() - interval '1 day'`,
  },
  {
    owner: "dealer",
    title: "Going Home",
    number: "1Z999AA10123456707",
    is: "status = 'return_to_sender', status_changed_at = now() - interval '2 days'",
  },
  {
    owner: "dealer",
    title: "Given Up",
    number: "1Z999AA10123456708",
    is: `${overdue(4)}, status = 'exception', closed_at = now(), closed_reason = 'stopped'`,
  },
  {
    owner: "dealer",
    title: "Today",
    number: "1Z999AA10123456709",
    is: "status = 'out_for_delivery'",
  },
  {
    owner: "dealer",
    title: "At the Shop",
    number: "1Z999AA10123456710",
    is: `${overdue(4)}, status = 'available_for_pickup'`,
  },
  {
    owner: "collector",
    title: "Slow Train",
    number: "1Z999AA10123456711",
    is: "status = 'in_transit', status_changed_at = now() - interval '8 days'",
  },
];

/** Under way, and overdue for so many days. */
function overdue(days: number): string {
  const at = `(now() - interval '${days} days') at time zone 'UTC'`;
  return `estimated_from = ${at}, estimated_until = ${at}, estimated_time_zone = 'UTC'`;
}

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  text = await readExample("documents/Parcels.graphql");
  for (const name of Object.keys(people) as (keyof typeof people)[]) {
    people[name] = await seedUser(db.pool, name);
    tokens[name] = await signToken("bookpost_member", people[name]);
  }
  tokens.operator = await signToken("bookpost_operator");
  for (const { owner, title, number, is } of BOOKS) {
    const { parcelId } = await seedBook(db.pool, { owner: people[owner], title, number });
    const change = is?.includes("status =") ? is : `${is}, status = 'pre_transit'`;
    if (is) await db.pool.query(`update bookpost.parcels set ${change} where id = $1`, [parcelId]);
  }
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

/** The titles of the parcels that answer a question, in the order of the answer. */
async function titles(who: Who, question: Question): Promise<string[]> {
  const { body } = await api.query(text, { token: tokens[who], variables: asked[question] });
  expect(body.errors).toBeUndefined();
  return body.data.parcels.nodes.map((parcel: { parcelBooks: { nodes: unknown[] } }) =>
    (parcel.parcelBooks.nodes as { book: { title: string } }[])
      .map(({ book }) => book.title)
      .sort()
      .join(" and "),
  );
}

describe("a back office that asks what is", () => {
  it.each<[Question, Who, string[]]>([
    ["overdue", "dealer", ["Ulysses", "Dracula", "Lost Horizon", "Emma"]],
    ["overdue", "collector", ["Walden"]],
    ["overdue", "newcomer", []],
    ["overdue", "operator", ["Ulysses and Walden", "Dracula", "Lost Horizon", "Emma"]],
    ["inTrouble", "dealer", ["Lost Horizon", "Going Home"]],
    ["inTrouble", "collector", []],
    ["inTrouble", "operator", ["Lost Horizon", "Going Home"]],
    ["comingToday", "dealer", ["Today"]],
    ["toBeCollected", "dealer", ["At the Shop"]],
    ["toBeCollected", "collector", []],
    ["stalled", "dealer", []],
    ["stalled", "collector", ["Slow Train"]],
    ["stalled", "operator", ["Slow Train"]],
  ])("%s is told, as %s, what there is of her own: %j", async (question, who, expected) => {
    expect(await titles(who, question)).toEqual(expected);
  });

  it.each(QUESTIONS)("%s is told nothing as a visitor", async (question) => {
    const { body } = await api.query(text, { variables: asked[question] });
    expect(body.data).toEqual({ parcels: null });
    expect(body.errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
  });

  it("sees in each parcel whether it is overdue, and since when", async () => {
    const { body } = await api.query(
      "{ parcels { nodes { isOverdue overdueAt parcelBooks { nodes { book { title } } } } } }",
      { token: tokens.operator },
    );
    const late = body.data.parcels.nodes.filter((p: { isOverdue: boolean }) => p.isOverdue);
    expect(late).toHaveLength(4);
    for (const parcel of body.data.parcels.nodes)
      expect(parcel.isOverdue).toBe(
        parcel.overdueAt !== null && new Date(parcel.overdueAt).getTime() < Date.now(),
      );
  });

  it("can page by it, through those with the same moment and those without any", async () => {
    await db.pool.query(
      `update bookpost.parcels set estimated_from = '2026-01-01', estimated_until = '2026-01-01'
       where tracking_number in ('1Z999AA10123456702', '1Z999AA10123456706')`,
    );
    const found: string[] = [];
    let after: string | null = null;
    do {
      const { body } = await api.query(
        `query ($after: Cursor) { parcels(first: 1, after: $after, orderBy: OVERDUE_AT_ASC) {
           nodes { trackingNumber } pageInfo { hasNextPage endCursor } } }`,
        { token: tokens.dealer, variables: { after } },
      );
      expect(body.errors).toBeUndefined();
      found.push(body.data.parcels.nodes[0].trackingNumber);
      after = body.data.parcels.pageInfo.hasNextPage ? body.data.parcels.pageInfo.endCursor : null;
    } while (after !== null && found.length < 20);
    expect(found).toHaveLength(10);
    expect(new Set(found).size).toBe(10);
    expect(found.slice(0, 2).sort()).toEqual(["1Z999AA10123456702", "1Z999AA10123456706"]);
  });

  it("cannot ask for the latest first, which would be those that are never overdue", async () => {
    const { status, body } = await api.query(
      "{ parcels(orderBy: OVERDUE_AT_DESC) { nodes { id } } }",
      { token: tokens.dealer },
    );
    expect(status).toBe(400);
    expect(body.errors[0].extensions.code).toBe("BAD_DOCUMENT");
  });
});

describe("what a back office asks", () => {
  /** The statement that reads for a question. */
  async function statementFor(who: Who, question: Question) {
    sent.mockClear();
    await titles(who, question);
    const reads = sent.mock.calls
      .map(([first]) => first as { text?: string; values?: unknown[] })
      .filter((statement) => /^\s*select/i.test(statement.text ?? ""));
    expect(reads).toHaveLength(1);
    return { text: reads[0]?.text ?? "", values: reads[0]?.values ?? [] };
  }

  /** Where nearly all parcels are of others, and long delivered. */
  beforeAll(async () => {
    await db.pool.query(
      `with b as (
         insert into bookpost.books (owner_id, title, created_at)
         select u.id, 'Volume ' || n, now() - interval '1 year' - n * interval '1 minute'
         from generate_series(1, 5000) n, bookpost.users u where u.name = 'newcomer' returning *
       ), p as (
         insert into bookpost.parcels (carrier_code, tracking_number, status, status_changed_at, estimated_from, estimated_until, created_at, closed_at, closed_reason)
         select 'ups', upper(replace(b.id::text, '-', '')), 'delivered', b.created_at, b.created_at, b.created_at, b.created_at, b.created_at, 'delivered' from b
         returning *
       )
       insert into bookpost.parcel_books (book_id, parcel_id, owner_id)
       select b.id, p.id, b.owner_id from b join p on p.tracking_number = upper(replace(b.id::text, '-', ''))`,
    );
    await db.pool.query("analyze bookpost.parcels, bookpost.parcel_books, bookpost.books");
  });

  it.each(
    QUESTIONS.flatMap((question) =>
      (["operator", "dealer", "collector"] as const).map((who) => ({ question, who })),
    ),
  )("of $question as $who is one statement, and reads no table of parcels whole", async (test) => {
    const { who, question } = test;
    const { text: sql, values } = await statementFor(who, question);
    const client = await apiClient(db, {
      role: who === "operator" ? "bookpost_operator" : "bookpost_member",
      userId: who === "operator" ? undefined : people[who],
    });
    const { rows } = await client.query<{ "QUERY PLAN": string }>(`explain ${sql}`, values);
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).not.toMatch(/Seq Scan on (parcels|parcel_books|books)/);
    if (who === "operator")
      expect(plan).toMatch(
        question === "overdue" ? /parcels_overdue_(at|order)_idx/ : /parcels_status_changed_at_idx/,
      );
  });
});
