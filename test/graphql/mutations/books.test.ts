import { describe, expect, it } from "vitest";
import { dispatch } from "../../../src/sql/dispatch.ts";
import { lookUp } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { one } from "../../helpers/one.ts";
import { checkOf, parcelOf } from "../../helpers/parcelOf.ts";
import { found } from "../../helpers/reports.ts";
import { newNumber, type TrackedBook, trackBook } from "../../helpers/trackBook.ts";
import { NOBODY, openWorld, type Who } from "./openWorld.ts";

const world = openWorld();

/** A book of Ann's with a carrier of its own. */
async function annsBook(
  limits: Parameters<typeof makeApi>[1] = {},
): Promise<TrackedBook & { readonly carrier: string }> {
  const { code } = await makeApi(world.db.pool, limits);
  return { ...(await trackBook(world.db.pool, code, { owner: world.ids.ann })), carrier: code };
}

/** A book of Ben's in the parcel of Ann's. */
function bensBookBeside(hers: TrackedBook & { readonly carrier: string }): Promise<TrackedBook> {
  return trackBook(world.db.pool, hers.carrier, { owner: world.ids.ben, number: hers.number });
}

const PARCELS = `book { id parcels { nodes { id trackingNumber status reasonCode closedReason nextLookAt
  trackingEvents { nodes { rawCode description } } } edges { stoppedAt } } }`;

/** Field of Mutation → the rest of its input, beside the book. */
const ON_A_BOOK: Readonly<Record<string, object>> = {
  stopTracking: {},
  refreshBook: {},
  correctTrackingNumber: { trackingNumber: "CORRECTED1" },
  markBook: { mark: "DELIVERED", reason: "it lies on my table" },
};

describe.each(Object.entries(ON_A_BOOK))("%s", (field, rest) => {
  it("to all others another's book is as one that is not there, and is not changed", async () => {
    const { bookId, parcelId } = await annsBook();
    const before = await world.db.pool.query(
      "select p.*, c.* from bookpost.parcels p join bookpost_private.checks c on c.parcel_id = p.id where p.id = $1",
      [parcelId],
    );
    for (const who of ["ben", "stranger"] as const) {
      for (const id of [bookId, NOBODY])
        expect(await world.refusal(who, field, { bookId: id, ...rest })).toMatchObject({
          message: `There is no book ${id}.`,
          extensions: { code: "NOT_FOUND" },
        });
    }
    expect(await world.refusal("visitor", field, { bookId, ...rest })).toMatchObject({
      extensions: { code: "FORBIDDEN" },
    });
    const after = await world.db.pool.query(
      "select p.*, c.* from bookpost.parcels p join bookpost_private.checks c on c.parcel_id = p.id where p.id = $1",
      [parcelId],
    );
    expect(after.rows).toEqual(before.rows);
  });

  it.each(["ann", "operator"] as Who[])("%s may, twice as well, and sees the book", async (who) => {
    const { bookId } = await annsBook();
    for (let i = 0; i < 2; i++)
      expect(await world.mutate(who, field, { bookId, ...rest }, "book { id }")).toEqual({
        book: { id: bookId },
      });
  });

  it("several at once end as one after the other", async () => {
    const { bookId } = await annsBook();
    const answers = await Promise.all(
      Array.from({ length: 6 }, () =>
        world.mutate("ann", field, { bookId, ...rest }, "book { id }"),
      ),
    );
    expect(answers).toEqual(Array(6).fill({ book: { id: bookId } }));
    expect(
      await one(
        world.db.pool,
        "select count(*)::int <= 1 as is_in_one from bookpost.parcel_books where book_id = $1 and stopped_at is null",
        [bookId],
      ),
    ).toEqual({ is_in_one: true });
  });
});

describe("stopTracking", () => {
  it("closes the parcel that nobody else waits for", async () => {
    const { bookId, parcelId } = await annsBook();
    const { book } = await world.mutate("ann", "stopTracking", { bookId }, PARCELS);
    expect(book.parcels.nodes).toMatchObject([{ id: parcelId, closedReason: "stopped" }]);
    expect(book.parcels.edges).toEqual([{ stoppedAt: expect.any(String) }]);
  });

  it("leaves the parcel to the other who waits for it", async () => {
    const hers = await annsBook();
    await bensBookBeside(hers);
    await world.mutate("ann", "stopTracking", { bookId: hers.bookId }, "book { id }");
    expect(await parcelOf(world.db.pool, hers.parcelId)).toMatchObject({ closed_at: null });
  });
});

describe("refreshBook", () => {
  const minutes = (check: { next_check_at: Date | null }) =>
    ((check.next_check_at?.getTime() ?? Number.NaN) - Date.now()) / 60_000;

  it("asks for a look, and not sooner than the carrier allows however often it is asked", async () => {
    const { bookId, parcelId } = await annsBook({ min_check_interval: "2 hours" });
    await lookUp(world.db.pool, parcelId, (id) => found(id));
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => world.mutate("ann", "refreshBook", { bookId }, PARCELS)),
    );
    for (const { book } of answers)
      expect(book.parcels.nodes).toEqual(answers[0].book.parcels.nodes);
    expect((await checkOf(world.db.pool, parcelId)).wait).toBe(7200);
  });

  it("not on a day on which the parcel's calls are spent, and stopping and tracking it anew is no way round", async () => {
    const { bookId, parcelId, carrier, number } = await annsBook({
      min_check_interval: "0",
      calls_per_parcel_per_day: 1,
      day_time_zone: "UTC",
    });
    await lookUp(world.db.pool, parcelId, (id) => found(id));
    await world.mutate("ann", "refreshBook", { bookId }, "book { id }");
    const { next_check_at } = await checkOf(world.db.pool, parcelId);
    expect(next_check_at?.toISOString()).toMatch(/T00:00/);
    expect(minutes({ next_check_at })).toBeGreaterThan(0);

    await world.mutate("ann", "stopTracking", { bookId }, "book { id }");
    const again = await trackBook(world.db.pool, carrier, { owner: world.ids.ann, number });
    expect(again.parcelId).not.toBe(parcelId);
    await world.mutate("ann", "refreshBook", { bookId: again.bookId }, "book { id }");
    expect(await checkOf(world.db.pool, again.parcelId)).toMatchObject({ next_check_at });
  });

  it("nor soon after the last look, under whatever parcel the number was asked about", async () => {
    const { bookId, parcelId, carrier, number } = await annsBook({ min_check_interval: "2 hours" });
    await lookUp(world.db.pool, parcelId, (id) => found(id));
    await world.mutate("ann", "stopTracking", { bookId }, "book { id }");
    const again = await trackBook(world.db.pool, carrier, { owner: world.ids.ann, number });
    await world.mutate("ann", "refreshBook", { bookId: again.bookId }, "book { id }");
    await dispatch(world.db.pool);
    expect((await checkOf(world.db.pool, again.parcelId)).wait).toBe(7200);
  });

  it("of a carrier nobody can be asked about says so", async () => {
    const { bookId } = await trackBook(world.db.pool, "parcelforce", { owner: world.ids.ann });
    expect(await world.refusal("ann", "refreshBook", { bookId })).toMatchObject({
      message: expect.stringContaining('carrier "parcelforce"'),
      extensions: { code: "BAD_INPUT" },
    });
  });

  it("does not tell a member that her number has passed to another's parcel: she joins it; an operator is told", async () => {
    const hers = await annsBook();
    await world.mutate("ann", "stopTracking", { bookId: hers.bookId }, "book { id }");
    const his = await bensBookBeside(hers);
    expect(his.parcelId).not.toBe(hers.parcelId);
    expect(await world.refusal("operator", "refreshBook", { bookId: hers.bookId })).toMatchObject({
      extensions: { code: "CONFLICT" },
    });
    const { book } = await world.mutate("ann", "refreshBook", { bookId: hers.bookId }, PARCELS);
    expect(book.parcels.nodes[0]).toMatchObject({ id: his.parcelId, closedReason: null });
  });

  it("leaves what was set aside for a mistake of ours to an operator", async () => {
    const { bookId, parcelId } = await annsBook();
    await world.db.pool.query(
      "update bookpost_private.checks set next_check_at = null, pause_reason = 'quarantined' where parcel_id = $1",
      [parcelId],
    );
    expect(await world.refusal("ann", "refreshBook", { bookId })).toMatchObject({
      extensions: { code: "CONFLICT", hint: "Ask whoever runs this bookpost to look at it." },
    });
    await world.mutate("operator", "refreshBook", { bookId }, "book { id }");
    expect(await checkOf(world.db.pool, parcelId)).toMatchObject({ pause_reason: null });
  });
});

describe("correctTrackingNumber", () => {
  it("moves the book to a new parcel, without the link to the former one, which the sweep then closes", async () => {
    const { bookId, parcelId, carrier } = await annsBook();
    await world.db.pool.query(
      "update bookpost.parcel_books set tracking_url = 'https://example.com/old' where book_id = $1",
      [bookId],
    );
    const number = newNumber();
    const { book, warning } = await world.mutate(
      "ann",
      "correctTrackingNumber",
      { bookId, trackingNumber: ` ${number.toLowerCase()} ` },
      `warning book { parcels { nodes { id trackingNumber trackingPage carrier { code } } edges { stoppedAt } } }`,
    );
    expect(warning).toBeNull();
    expect(book.parcels.nodes[0]).toEqual({
      id: expect.not.stringMatching(parcelId),
      trackingNumber: number,
      trackingPage: null,
      carrier: { code: carrier },
    });
    expect(book.parcels.edges).toEqual([{ stoppedAt: null }, { stoppedAt: expect.any(String) }]);
    await world.db.pool.query("select bookpost_private.close_forsaken_parcels()");
    expect(await parcelOf(world.db.pool, parcelId)).toMatchObject({ closed_reason: "stopped" });
  });

  it("with the number it has changes nothing", async () => {
    const { bookId, number } = await annsBook();
    const rows = () =>
      world.db.pool.query("select *, xmin::text from bookpost.parcel_books where book_id = $1", [
        bookId,
      ]);
    const before = await rows();
    await world.mutate(
      "ann",
      "correctTrackingNumber",
      { bookId, trackingNumber: number },
      "book { id }",
    );
    expect((await rows()).rows).toEqual(before.rows);
  });

  it("checks the number by the rules of the carrier it has, or of the one that is named", async () => {
    const { bookId } = await trackBook(world.db.pool, "usps", {
      owner: world.ids.ann,
      number: "9400111206206406260787",
    });
    const wrong = { bookId, trackingNumber: "9400111206206406260780" };
    expect(await world.refusal("ann", "correctTrackingNumber", wrong)).toMatchObject({
      message: expect.stringContaining("the check digit of a USPS package code"),
      extensions: { code: "BAD_INPUT", field: "trackingNumber", reason: "BAD_NUMBER" },
    });
    const toDhl = { ...wrong, carrier: "dhl" };
    const { book } = await world.mutate("ann", "correctTrackingNumber", toDhl, PARCELS);
    expect(book.parcels.nodes[0]).toMatchObject({ trackingNumber: "9400111206206406260780" });
    expect(
      await world.refusal("ann", "correctTrackingNumber", { ...wrong, carrier: "nix" }),
    ).toMatchObject({ message: expect.stringContaining('no carrier "nix"') });
  });

  it("of two different corrections at once one counts, and the book is in one parcel", async () => {
    const { bookId } = await annsBook();
    const numbers = Array.from({ length: 6 }, newNumber);
    await Promise.all(
      numbers.map((trackingNumber) =>
        world.mutate("ann", "correctTrackingNumber", { bookId, trackingNumber }, "book { id }"),
      ),
    );
    const { rows } = await world.db.pool.query(
      `select p.tracking_number as number from bookpost.parcel_books pb join bookpost.parcels p on p.id = pb.parcel_id
       where pb.book_id = $1 and pb.stopped_at is null`,
      [bookId],
    );
    expect(rows).toHaveLength(1);
    expect(numbers).toContain(rows[0].number);
  });
});

describe("markBook", () => {
  it.each([
    ["DELIVERED", "DELIVERED", null],
    ["LOST", "EXCEPTION", "lost"],
    ["RETURNED", "RETURN_TO_SENDER", null],
  ])("%s makes the status %s, with the reason kept as a scan", async (mark, status, reasonCode) => {
    const { bookId } = await annsBook();
    const input = { bookId, mark, reason: "the neighbour says so" };
    const { book } = await world.mutate("ann", "markBook", input, PARCELS);
    expect(book.parcels.nodes).toMatchObject([
      {
        status,
        reasonCode,
        trackingEvents: { nodes: [{ rawCode: "by_hand", description: "the neighbour says so" }] },
      },
    ]);
    expect(
      await one(
        world.db.pool,
        "select detail from bookpost.notifications where book_id = $1 and user_id = $2",
        [bookId, world.ids.ann],
      ),
    ).toEqual({ detail: "the neighbour says so" });
  });

  it.each(["DELIVERED", "LOST", "RETURNED"])(
    "%s, of a parcel that another waits for too, is hers alone: he sees and hears nothing of it",
    async (mark) => {
      const hers = await annsBook();
      const his = await bensBookBeside(hers);
      const { rows } = await world.db.pool.query(
        "select to_jsonb(p) as parcel, to_jsonb(c) as checked from bookpost.parcels p join bookpost_private.checks c on c.parcel_id = p.id where p.id = $1",
        [hers.parcelId],
      );
      const input = { bookId: hers.bookId, mark, reason: "click https://evil.example" };
      const { book } = await world.mutate("ann", "markBook", input, PARCELS);
      expect(book.parcels.nodes[0]).toMatchObject({
        id: expect.not.stringMatching(hers.parcelId),
        status: { DELIVERED: "DELIVERED", LOST: "EXCEPTION", RETURNED: "RETURN_TO_SENDER" }[mark],
        closedReason: expect.any(String),
      });
      const after = await world.db.pool.query(
        "select to_jsonb(p) as parcel, to_jsonb(c) as checked from bookpost.parcels p join bookpost_private.checks c on c.parcel_id = p.id where p.id = $1",
        [hers.parcelId],
      );
      expect(after.rows).toEqual(rows);
      const { book: seen } = await world.ask(
        "ben",
        `query ($id: UUID!) { book(id: $id) { parcels { nodes { status trackingEvents { nodes { rawCode } } } } notifications { nodes { id } } } }`,
        { id: his.bookId },
      );
      expect(seen).toEqual({
        parcels: { nodes: [{ status: "PENDING", trackingEvents: { nodes: [] } }] },
        notifications: { nodes: [] },
      });
    },
  );

  it("LOST, said before another joins the parcel, does not reach him: it leaves with her", async () => {
    const hers = await annsBook();
    const input = { bookId: hers.bookId, mark: "LOST", reason: "click https://evil.example" };
    await world.mutate("ann", "markBook", input, "book { id }");
    const his = await bensBookBeside(hers);
    expect(his.parcelId).toBe(hers.parcelId);
    const { book } = await world.ask(
      "ben",
      `query ($id: UUID!) { book(id: $id) { parcels { nodes { status reasonCode trackingEvents { nodes { rawCode } } } } notifications { nodes { id } } } }`,
      { id: his.bookId },
    );
    expect(book).toEqual({
      parcels: {
        nodes: [{ status: "PENDING", reasonCode: null, trackingEvents: { nodes: [] } }],
      },
      notifications: { nodes: [] },
    });
    const { book: kept } = await world.ask(
      "ann",
      "query ($id: UUID!) { book(id: $id) { currentParcel { id status trackingEvents { nodes { description } } } } }",
      { id: hers.bookId },
    );
    expect(kept.currentParcel).toEqual({
      id: expect.not.stringMatching(hers.parcelId),
      status: "EXCEPTION",
      trackingEvents: { nodes: [{ description: input.reason }] },
    });
  });

  it("LOST, of a parcel that another has stopped, does not reach him either: he still sees it", async () => {
    const hers = await annsBook();
    const his = await bensBookBeside(hers);
    await world.mutate("ben", "stopTracking", { bookId: his.bookId }, "book { id }");
    const input = { bookId: hers.bookId, mark: "LOST", reason: "click https://evil.example" };
    await world.mutate("ann", "markBook", input, "book { id }");
    const { book } = await world.ask(
      "ben",
      "query ($id: UUID!) { book(id: $id) { parcels { nodes { status trackingEvents { nodes { rawCode } } } } } }",
      { id: his.bookId },
    );
    expect(book.parcels.nodes).toEqual([{ status: "PENDING", trackingEvents: { nodes: [] } }]);
  });

  it("an operator's word is for all who wait", async () => {
    const hers = await annsBook();
    const his = await bensBookBeside(hers);
    const input = { bookId: hers.bookId, mark: "DELIVERED", reason: "the carrier telephoned" };
    await world.mutate("operator", "markBook", input, "book { id }");
    const { book } = await world.ask(
      "ben",
      "query ($id: UUID!) { book(id: $id) { parcels { nodes { status } } } }",
      { id: his.bookId },
    );
    expect(book.parcels.nodes).toEqual([{ status: "DELIVERED" }]);
  });

  it("an operator's word stays for one who joins later", async () => {
    const hers = await annsBook();
    const input = { bookId: hers.bookId, mark: "LOST", reason: "the carrier telephoned" };
    await world.mutate("operator", "markBook", input, "book { id }");
    const his = await bensBookBeside(hers);
    const { book } = await world.ask(
      "ben",
      "query ($id: UUID!) { book(id: $id) { parcels { nodes { status } } } }",
      { id: his.bookId },
    );
    expect(book.parcels.nodes).toEqual([{ status: "EXCEPTION" }]);
  });

  it("after which a refresh takes her back to the common parcel", async () => {
    const hers = await annsBook();
    await bensBookBeside(hers);
    const input = { bookId: hers.bookId, mark: "LOST", reason: "for weeks" };
    await world.mutate("ann", "markBook", input, "book { id }");
    await world.mutate("ann", "refreshBook", { bookId: hers.bookId }, "book { id }");
    expect(
      await one(
        world.db.pool,
        "select parcel_id from bookpost.parcel_books where book_id = $1 and stopped_at is null",
        [hers.bookId],
      ),
    ).toEqual({ parcel_id: hers.parcelId });
  });

  it.each([
    [{ reason: " " }, "reason", "NO_REASON"],
    [{ reason: "x".repeat(501) }, "reason", "LONG_REASON"],
  ])("cannot be without a reason, nor with a long one: %j", async (wrong, field, reason) => {
    const { bookId } = await annsBook();
    expect(
      await world.refusal("ann", "markBook", { bookId, mark: "LOST", ...wrong }),
    ).toMatchObject({ extensions: { code: "BAD_INPUT", field, reason } });
  });

  it("has no other marks", async () => {
    const { bookId } = await annsBook();
    const { message, extensions } = await world.refusal("ann", "markBook", {
      bookId,
      mark: "PENDING",
      reason: "x",
    });
    expect(message).toMatch(/^Variable "\$input" got invalid value "PENDING"/);
    expect(message).not.toMatch(/Did you mean/);
    expect(extensions).toEqual({ code: "BAD_INPUT" });
  });
});
