import { describe, expect, it } from "vitest";
import { one } from "../../helpers/one.ts";
import { newNumber } from "../../helpers/trackBook.ts";
import { startApiForTest } from "../startTestApi.ts";
import { NOBODY, openWorld } from "./openWorld.ts";

const world = openWorld();

const SHOWN = `warning book { id title author declaredValue declaredCurrency appBookId ownerId
  parcels { nodes { trackingNumber status trackingPage carrier { code } } } }`;

describe("trackBook", () => {
  it("tracks a member's own book, keeps all that was said, and shows the book", async () => {
    const { book, warning } = await world.mutate(
      "ann",
      "trackBook",
      {
        title: "Der Name der Rose",
        author: "Eco",
        carrier: "ups",
        trackingNumber: "1z 999-AA1 0123456784",
        declaredValue: "1234567890.10",
        declaredCurrency: "eur",
        appBookId: "app-7",
        trackingUrl: "https://example.com/parcel",
        sentOn: new Date().toISOString().slice(0, 10),
      },
      SHOWN,
    );
    expect(warning).toBeNull();
    expect(book).toEqual({
      id: expect.any(String),
      title: "Der Name der Rose",
      author: "Eco",
      declaredValue: "1234567890.10",
      declaredCurrency: "EUR",
      appBookId: "app-7",
      ownerId: world.ids.ann,
      parcels: {
        nodes: [
          {
            trackingNumber: "1Z999AA10123456784",
            status: "PENDING",
            trackingPage: "https://example.com/parcel",
            carrier: { code: "ups" },
          },
        ],
      },
    });
    expect(
      await one(
        world.db.pool,
        `select b.owner_id, p.sent_on is not null as has_day from bookpost.books b
         join bookpost.parcel_books pb on pb.book_id = b.id join bookpost.parcels p on p.id = pb.parcel_id
         where b.id = $1`,
        [book.id],
      ),
    ).toEqual({ owner_id: world.ids.ann, has_day: true });
  });

  it("asked twice gives the same book; at once as well", async () => {
    const input = { title: "Emma", carrier: "dhl", trackingNumber: newNumber(), appBookId: "b-1" };
    const first = await world.mutate("ann", "trackBook", input, "book { id }");
    const again = await Promise.all(
      Array.from({ length: 5 }, () => world.mutate("ann", "trackBook", input, "book { id }")),
    );
    for (const { book } of again) expect(book).toEqual(first.book);
  });

  it("of two owners of one number each sees her own book, and neither learns of the other", async () => {
    const input = { title: "Common", carrier: "dhl", trackingNumber: newNumber(), appBookId: "x" };
    const hers = await world.mutate("ann", "trackBook", input, SHOWN);
    const his = await world.mutate("ben", "trackBook", input, SHOWN);
    expect({ ...his.book, id: "", ownerId: "" }).toEqual({ ...hers.book, id: "", ownerId: "" });
    expect(his.book.id).not.toBe(hers.book.id);
  });

  it("warns of a doubtful number, and takes an impossible one where she insists", async () => {
    const input = { title: "Doubt", carrier: "ups", trackingNumber: "1Z12345E0205271688" };
    expect((await world.mutate("ann", "trackBook", input, "warning")).warning).toContain(
      "typing error",
    );
    const typo = { title: "Typo", carrier: "ups", trackingNumber: "1Z123" };
    expect(await world.refusal("ann", "trackBook", typo)).toMatchObject({
      message: expect.stringMatching(/^"1Z123" is not accepted: .* or insist with insist\.$/),
      extensions: { code: "BAD_INPUT", field: "trackingNumber", reason: "BAD_NUMBER" },
    });
    const { warning } = await world.mutate(
      "ann",
      "trackBook",
      { ...typo, insist: true },
      "warning",
    );
    expect(warning).toContain("18 letters and digits");
  });

  it("an operator tracks for whom she names, and for nobody whom bookpost does not know", async () => {
    const input = { title: "Hers", carrier: "dhl", trackingNumber: newNumber() };
    const { book } = await world.mutate(
      "operator",
      "trackBook",
      { ...input, ownerId: world.ids.ben },
      "book { ownerId }",
    );
    expect(book.ownerId).toBe(world.ids.ben);
    expect(await world.refusal("operator", "trackBook", input)).toMatchObject({
      message: `There is no user ${NOBODY}.`,
      extensions: { code: "NOT_FOUND" },
    });
  });

  it("another's name is as one whom bookpost does not know, and so is a token of nobody's", async () => {
    const input = { title: "His", carrier: "dhl", trackingNumber: newNumber() };
    for (const [who, ownerId, told] of [
      ["ann", world.ids.ben, world.ids.ben],
      ["ann", NOBODY, NOBODY],
      ["stranger", undefined, NOBODY],
      ["stranger", NOBODY, NOBODY],
    ] as const)
      expect(await world.refusal(who, "trackBook", { ...input, ownerId })).toMatchObject({
        message: `There is no user ${told}.`,
        extensions: { code: "NOT_FOUND" },
      });
  });

  it("a visitor is told to sign in, whatever else is wrong", async () => {
    expect(
      await world.refusal("visitor", "trackBook", { title: "", carrier: "", trackingNumber: "" }),
    ).toMatchObject({
      message: "Only someone who is signed in may do this: send a token.",
      extensions: { code: "FORBIDDEN" },
    });
  });

  const good = { title: "x", carrier: "dhl", trackingNumber: "12345678" };
  it.each([
    ["blank title", { title: " " }, "title", "A book needs a title"],
    [
      "endless title",
      { title: "x".repeat(501) },
      "title",
      "at most 500 characters; this one has 501",
    ],
    ["endless author", { author: "x".repeat(501) }, "author", "at most 500"],
    ["value alone", { declaredValue: "1" }, "declaredCurrency", "declaredCurrency EUR"],
    ["comma", { declaredValue: "1,5", declaredCurrency: "EUR" }, "declaredValue", '"1,5"'],
    ["currency", { declaredValue: "1", declaredCurrency: "EURO" }, "declaredCurrency", '"EURO"'],
    ["page without https", { trackingUrl: "http://x.y" }, "trackingUrl", "https"],
    ["endless page", { trackingUrl: `https://x.y/${"z".repeat(2000)}` }, "trackingUrl", "2,000"],
    ["no day", { sentOn: "2025-02-31" }, "sentOn", '"2025-02-31"'],
    ["endless id", { appBookId: "x".repeat(201) }, "appBookId", "at most 200"],
    ["no id", { ownerId: "me" }, undefined, '"me"'],
    ["slash, insisted", { trackingNumber: "12/34", insist: true }, undefined, "4 to 40 letters"],
    ["unknown carrier", { carrier: "nix" }, undefined, 'no carrier "nix"'],
    ["a NUL", { title: "a\u0000b" }, undefined, "A value was refused."],
    ["a day to come", { sentOn: "2999-01-01" }, undefined, "2999-01-01"],
  ])("cannot be given %s", async (_what, wrong, field, says) => {
    const before = await one(world.db.pool, "select count(*) from bookpost.books");
    const { message, extensions } = await world.refusal("ann", "trackBook", { ...good, ...wrong });
    expect(message).toContain(says);
    expect(extensions).toMatchObject({ code: "BAD_INPUT", ...(field && { field }) });
    expect(await one(world.db.pool, "select count(*) from bookpost.books")).toEqual(before);
  });

  it("without a secret, where everybody is the operator, it is the local user's", async () => {
    const api = await startApiForTest(world.db, { jwtSecret: null });
    const { body } = await api.query(
      `mutation ($input: TrackBookInput!) { trackBook(input: $input) { book { owner { appUserId } } } }`,
      { variables: { input: { ...good, title: "Local" } } },
    );
    expect(body).toEqual({ data: { trackBook: { book: { owner: { appUserId: "local" } } } } });
    const { body: contact } = await api.query(
      'mutation { setContact(input: { name: "Somebody" }) { user { name } } }',
    );
    expect(contact.errors).toMatchObject([
      {
        message: "Nobody is named, and nobody is signed in.",
        extensions: { code: "NOT_FOUND" },
      },
    ]);
  });

  it("five books may be tracked in one document, and of six not one is", async () => {
    const field = (n: number) =>
      `b${n}: trackBook(input: { title: "Six", carrier: "dhl", trackingNumber: "${newNumber()}" }) { book { title } }`;
    const document = (count: number) =>
      `mutation { ${Array.from({ length: count }, (_, n) => field(n)).join(" ")} }`;
    expect(Object.keys(await world.ask("ann", document(5)))).toHaveLength(5);
    const { body } = await world.api.query(document(6));
    expect(body.errors[0]).toMatchObject({
      message: "The document asks 6 things at once; at most 5 are allowed.",
      extensions: { code: "DOCUMENT_TOO_BIG" },
    });
    expect(
      await one(world.db.pool, "select count(*)::int from bookpost.books where title = 'Six'"),
    ).toEqual({ count: 5 });
  });
});
