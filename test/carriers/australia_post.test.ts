import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { australia_post } from "../../src/carriers/australia_post.ts";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { Secret } from "../../src/secret.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const [FIRST, SECOND, THIRD] = ["7AB1000634000001", "7AB1000634000002", "7AB1000634000003"];
const STARTRACK = "ZZZ500001234";

const subject = (trackingNumber: string) => ({ trackingNumber, carrierCode: "australia_post" });

function answer(body: unknown, trackingNumber = FIRST, status = 200) {
  const receivedAt = new Date("2025-09-01T12:00:00Z");
  const text = JSON.stringify(body);
  return readAnswer(
    australia_post,
    { status, headers: {}, body: text, receivedAt },
    subject(trackingNumber),
  );
}

const event = (description: string, day: number) => ({
  description,
  date: `2025-04-0${day}T10:00:00+10:00`,
});

function result(status: string | undefined, ...events: readonly object[]) {
  return {
    tracking_results: [{ tracking_id: FIRST, status, trackable_items: [{ status, events }] }],
  };
}

function fold(body: unknown) {
  const { status, deliveredEvent } = foldStatus(answer(body));
  return [status, deliveredEvent?.occurredAt ?? null];
}

test("ten numbers go into one request", () => {
  expect(australia_post.batchSize).toBe(10);
  expect(australia_post.request([subject(FIRST), subject(SECOND)])).toEqual({
    method: "GET",
    path: `/track?tracking_ids=${FIRST},${SECOND}`,
  });
});

test("statuses are compared without regard to case and blanks", () => {
  for (const status of ["Delivered", "DELIVERED", " delivered ", "delivered in  full"])
    expect(answer(result(status, event("x", 1))).status).toBe("delivered");
  for (const status of ["toString", "__proto__", "not delivered", "Undelivered"])
    expect(answer(result(status)).status).toBeNull();
});

test("a status that is not listed is reported once and changes nothing", () => {
  const tracking = answer(result("Teleported", event("Teleported", 2), event("In transit", 1)));
  expect(tracking.warnings).toEqual(['status code "Teleported" is not listed']);
  expect(foldStatus(tracking).status).toBe("in_transit");
});

test("the current status goes before an older scan that names another", () => {
  const carded = event("Customer was carded", 2);
  const onBoard = event("On Board for Delivery", 1);
  expect(fold(result("Awaiting collection", carded, onBoard))).toEqual([
    "available_for_pickup",
    null,
  ]);
  expect(fold(result("On Board for Delivery", carded, onBoard))).toEqual([
    "out_for_delivery",
    null,
  ]);
});

test("a delivery has its scan's time, whatever the scan's words and what came after", () => {
  const left = event("Left with a neighbour", 3);
  const later = event("Photo of the delivery is available", 4);
  const delivered = event("Delivered", 2);
  const onBoard = event("On Board for Delivery", 1);
  expect(fold(result("Delivered", left, onBoard))).toEqual(["delivered", "2025-04-03T00:00:00Z"]);
  expect(fold(result("Delivered", later, delivered, onBoard))).toEqual([
    "delivered",
    "2025-04-02T00:00:00Z",
  ]);
  expect(fold(result("Delivered"))).toEqual(["delivered", null]);
});

test("the same scan keeps its identity when the status moves on", () => {
  const scan = event("Left with a neighbour", 1);
  const [before] = answer(result("In transit", scan)).events;
  const [after] = answer(result("Delivered", scan)).events;
  expect([before?.status, after?.status]).toEqual([null, "delivered"]);
  expect(after?.identity).toBe(before?.identity);
});

test("a consignment of several articles is delivered when its status says so, not with its first", () => {
  const items = [
    { article_id: SECOND, status: "Delivered", events: [event("Delivered", 2)] },
    { article_id: THIRD, status: "In transit", events: [event("In transit", 1)] },
  ];
  const consignment = (status?: string) => ({
    tracking_results: [{ tracking_id: FIRST, status, trackable_items: items }],
  });
  expect(fold(consignment())).toEqual(["unknown", null]);
  expect(fold(consignment("In transit"))).toEqual(["in_transit", null]);
  expect(fold(consignment("Delivered"))).toEqual(["delivered", "2025-04-02T00:00:00Z"]);
});

test.each([
  ["ESB-10001", "not_found"],
  ["51104", "not_found"],
  ["ESB-10002", "not_found"],
  ["ESB-20010", "unavailable"],
  ["ESB-20050", "unavailable"],
  ["ESB-1", "malformed"],
])("%s at a number is %s for that number alone", (code, outcome) => {
  const bad = { tracking_id: SECOND, errors: [{ code, name: "Made up" }] };
  const good = result("In transit", event("In transit", 1)).tracking_results;
  const body = { tracking_results: [bad, ...good] };
  expect(answer(body).status).toBe("in_transit");
  expect(() => answer(body, SECOND)).toThrow(expect.objectContaining({ outcome, code }));
  expect(() => answer(body, THIRD)).toThrow(
    expect.objectContaining({ outcome: "not_found", code: "NOT_IN_ANSWER" }),
  );
});

test.each([
  [429, { error_code: "API_002", message: "Too many requests" }, "rate_limited", "API_002"],
  [400, { code: "51101", name: "TOO_MANY_AP_TRACKING_IDS" }, "rejected", "51101"],
  [200, { code: "51100", name: "TRACKING_IDS_MISSING" }, "rejected", "51100"],
  [400, { code: "51104", name: "INVALID_TRACKING_ID" }, "not_found", "51104"],
  [500, { code: "ESB-20010" }, "unavailable", "ESB-20010"],
  [401, { error_code: "API_001" }, "rejected", "API_001"],
])("HTTP %i with %j is %s", (status, error, outcome, code) => {
  expect(() => answer({ errors: [error] }, FIRST, status)).toThrow(
    expect.objectContaining({ outcome, code }),
  );
});

const PARCEL = { steps: [{ stage: "in_transit", at: "2025-04-01T10:00:00+10:00" }] } as const;

test("one request answers for many, each with its own end", async () => {
  const delivered = { steps: [{ stage: "delivered", at: "2025-04-01T10:00:00+10:00" }] } as const;
  const sandbox = await withSandbox({ scenarios: { [FIRST]: PARCEL, [THIRD]: delivered } });
  const client = clientOf(sandbox, "australia_post");
  const results = await client.lookUpMany([FIRST, SECOND, THIRD].map(subject));
  expect(results).toMatchObject([
    { kind: "found", tracking: { status: "in_transit" }, calls: [{ httpStatus: 200 }] },
    { kind: "failed", error: { outcome: "not_found", code: "ESB-10001" }, calls: [] },
    { kind: "found", tracking: { status: "delivered" }, calls: [] },
  ]);
  expect(sandbox.log).toHaveLength(1);
});

test("a mixed batch says nothing of its numbers; from then on one is asked about at a time", async () => {
  const sandbox = await withSandbox({ scenarios: { [FIRST]: PARCEL, [STARTRACK]: PARCEL } });
  const client = clientOf(sandbox, "australia_post");
  const mixed = [FIRST, STARTRACK, SECOND].map(subject);
  const asked = () => sandbox.log.map(({ number, status }) => [number, status]);

  const together = { kind: "failed", error: { outcome: "local", code: "ASKED_TOGETHER" } };
  expect(await client.lookUpMany(mixed)).toMatchObject([together, together, together]);
  expect(asked()).toEqual([[FIRST, 400]]);

  // Whoever is first gets an answer, and no permit pays for more than one request.
  expect(await client.lookUpMany(mixed)).toMatchObject([
    { kind: "found", calls: [{ httpStatus: 200 }] },
    { ...together, calls: [] },
    { ...together, calls: [] },
  ]);
  expect(await client.lookUpMany(mixed.slice(1))).toMatchObject([{ kind: "found" }, together]);
  expect(await client.lookUpMany(mixed.slice(2))).toMatchObject([
    { kind: "failed", error: { outcome: "not_found" } },
  ]);
  expect(asked().map(([, status]) => status)).toEqual([400, 200, 200, 200]);
});

test("a mixed batch in one client does not slow another down", async () => {
  const sandbox = await withSandbox({ scenarios: { [FIRST]: PARCEL, [STARTRACK]: PARCEL } });
  await clientOf(sandbox, "australia_post").lookUpMany([FIRST, STARTRACK].map(subject));
  const other = clientOf(sandbox, "australia_post");
  expect(await other.lookUpMany([FIRST, SECOND].map(subject))).toMatchObject([
    { kind: "found" },
    { kind: "failed", error: { outcome: "not_found" } },
  ]);
});

test("a throttle, an outage and a refusal are true of every number of the batch", async () => {
  const sandbox = await withSandbox({ scenarios: { [FIRST]: PARCEL } });
  const client = clientOf(sandbox, "australia_post");
  for (const [status, outcome] of [
    [429, "rate_limited"],
    [500, "unavailable"],
    [401, "rejected"],
  ] as const) {
    sandbox.clearFaults();
    sandbox.fault({ mode: "status", status });
    const failed = { kind: "failed", error: { outcome } };
    expect(await client.lookUpMany([FIRST, SECOND].map(subject))).toMatchObject([failed, failed]);
  }
  sandbox.clearFaults();
  expect(await client.lookUpMany([FIRST, SECOND].map(subject))).toMatchObject([
    { kind: "found" },
    { kind: "failed", error: { outcome: "not_found" } },
  ]);
});

test.each([
  ["API_KEY", 401],
  ["API_PASSWORD", 401],
  ["ACCOUNT_NUMBER", 403],
])("a wrong %s is refused with %i", async (suffix, httpStatus) => {
  const sandbox = await withSandbox();
  const right = sandbox.credentials("australia_post");
  const credentials = Object.fromEntries(
    Object.entries({ ...right, [suffix]: "wrong" }).map(([key, text]) => [key, new Secret(text)]),
  );
  const client = clientOf(sandbox, "australia_post", { credentials });
  expect(await client.lookUp(FIRST)).toMatchObject({
    error: { outcome: "rejected" },
    calls: [{ httpStatus }],
  });
});

const folder = process.env.CARRIER_SAMPLES;

describe.skipIf(!folder)("Australia Post's samples (CARRIER_SAMPLES is set)", () => {
  const readSample = <T>(path: string): T =>
    JSON.parse(readFileSync(join(folder ?? "", "australia-post", path), "utf8"));

  test("every Australia Post status and error is mapped as listed, and no other status is", () => {
    const { status, errors } =
      readSample<Record<"status" | "errors", Record<string, string>>>("status-codes.json");
    const named = Object.entries(status).map(([name, stage]) => [
      name.toLowerCase().replaceAll(" ", "_"),
      stage,
    ]);
    expect({ ...australia_post.stages }).toEqual(Object.fromEntries(named));
    expect(Object.keys(australia_post.outcomes ?? {}).sort()).toEqual(Object.keys(errors).sort());
  });

  test("the sample of a throttle is one", () => {
    const body = readSample<unknown>("samples/rate-limited-429.json");
    expect(() => answer(body, FIRST, 429)).toThrow(
      expect.objectContaining({ outcome: "rate_limited", code: "API_002" }),
    );
  });
});
