import type { Message, News, Person } from "../../src/notifications/message.ts";

/** News of one book, as the database writes it. */
export function newsOf(changes: Partial<News> & { title?: string } = {}): News {
  const { title = "Dune", ...rest } = changes;
  return {
    notificationId: "00000000-0000-4000-8000-000000000001",
    kind: "stage",
    status: "out_for_delivery",
    statusVersion: 2,
    isActionRequired: false,
    detail: "On vehicle",
    location: "Leeds",
    occurredAt: "2025-08-26T15:44:34+00:00",
    localTime: "2025-08-26T16:44:34",
    timeZone: "Europe/London",
    isDateOnly: false,
    estimatedFrom: null,
    estimatedUntil: "2025-08-27T00:00:00",
    estimatedTimeZone: null,
    isEstimateADate: true,
    createdAt: "2025-08-26T15:50:00+00:00",
    parcel: {
      id: "00000000-0000-4000-8000-0000000000aa",
      carrierCode: "royal_mail",
      carrierName: "Royal Mail",
      trackingNumber: "AB123456785GB",
      trackingPage: "https://track.example.org/AB123456785GB",
      usualPage: "https://usual.example.org/AB123456785GB",
    },
    ...rest,
    book: {
      id: `book ${title}`,
      appBookId: null,
      title,
      author: null,
    },
  };
}

export function messageOf(
  changes: Omit<Partial<Message>, "person"> & { person?: Partial<Person> } = {},
): Message & { person: Person } {
  return {
    id: "00000000-0000-4000-8000-0000000000dd",
    channel: "email",
    kind: "news",
    createdAt: "2025-08-26T15:50:00+00:00",
    endpoint: null,
    news: [newsOf()],
    ...changes,
    person: {
      id: "00000000-0000-4000-8000-0000000000ee",
      appUserId: null,
      name: "Ada",
      language: "en",
      timeZone: "Europe/Berlin",
      email: "ada@example.org",
      phoneNumber: null,
      unsubscribeToken: "00000000-0000-4000-8000-0000000000ff",
      ...changes.person,
    },
  };
}
