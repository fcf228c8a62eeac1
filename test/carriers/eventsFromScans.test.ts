import { expect, test } from "vitest";
import { timeFromIso } from "../../src/carriers/carrierTime.ts";
import { eventsFromScans, type Scan } from "../../src/carriers/eventsFromScans.ts";
import { oldestFirst } from "../../src/carriers/oldestFirst.ts";

function scan(rawTime: string, more: Partial<Scan> = {}): Scan {
  return { time: timeFromIso(rawTime), rawTime, rawCode: "transit", stage: "in_transit", ...more };
}

test("the same scan told twice is one event; another place, code, time or text is another", () => {
  const one = scan("2025-03-04T02:05:09");
  const others = [
    scan("2025-03-04T02:05:10"),
    { ...one, rawCode: "failure" },
    { ...one, location: "Leipzig" },
    { ...one, distinction: "IN A SACK" },
  ];
  expect(eventsFromScans([one, ...others, one]).events).toHaveLength(5);
});

test("a scan keeps its identity when our table or its text changes", () => {
  const [before] = eventsFromScans([scan("2025-03-04T02:05:09", { stage: undefined })]).events;
  const [after] = eventsFromScans([
    scan("2025-03-04T02:05:09", { stage: "exception", description: "said otherwise" }),
  ]).events;
  expect(after?.identity).toBe(before?.identity);
});

test("parts of a scan cannot be shifted into one another", () => {
  const one = scan("2025-03-04T02:05:09", { location: "ab", distinction: "c" });
  const other = scan("2025-03-04T02:05:09", { location: "a", distinction: "bc" });
  expect(eventsFromScans([one, other]).events).toHaveLength(2);
});

test("of too many scans the newest are read, and it is said", () => {
  const second = (i: number) => new Date(1_700_000_000_000 + i * 1_000).toISOString();
  const { events, warnings } = eventsFromScans(
    Array.from({ length: 1_500 }, (_, i) => scan(second(i))),
  );
  expect(events).toHaveLength(1_000);
  expect(events.at(-1)?.rawTime).toBe(second(1_499));
  expect(warnings).toEqual([expect.stringContaining("1500 scans")]);
});

test("a list is turned unless its times say without doubt that it is the right way round", () => {
  const turned = (...times: string[]) =>
    oldestFirst(times.map((time) => scan(time))).map(({ rawTime }) => rawTime);
  expect(turned("2025-03-05T10:00:00", "2025-03-04T10:00:00")).toEqual([
    "2025-03-04T10:00:00",
    "2025-03-05T10:00:00",
  ]);
  expect(turned("2025-03-03T07:59:59", "2025-03-04T10:00:00")).toEqual([
    "2025-03-03T07:59:59",
    "2025-03-04T10:00:00",
  ]);
  // 26 hours apart on two unknown clocks may be the same moment.
  expect(turned("2025-03-03T08:00:00", "2025-03-04T10:00:00")).toEqual([
    "2025-03-04T10:00:00",
    "2025-03-03T08:00:00",
  ]);
  // Instants leave no doubt.
  expect(turned("2025-03-04T09:59:59Z", "2025-03-04T10:00:00Z")).toEqual([
    "2025-03-04T09:59:59Z",
    "2025-03-04T10:00:00Z",
  ]);
});
