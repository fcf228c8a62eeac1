import type { Message, News } from "../../src/notifications/message.ts";

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

/** News of one book in transit, as `bookpost_private.message_of` writes them. */
export function newsOf(n: number, more: Partial<News> = {}): News {
  return {
    notificationId: uuid(1000 + n),
    kind: "stage",
    status: "in_transit",
    statusVersion: 3,
    isActionRequired: false,
    detail: "Departed",
    location: "Leeds",
    occurredAt: "2026-11-20T10:15:00+01:00",
    localTime: null,
    timeZone: "+01:00",
    isDateOnly: false,
    estimatedFrom: null,
    estimatedUntil: null,
    estimatedTimeZone: null,
    isEstimateADate: false,
    createdAt: "2026-11-20T10:20:00.123456+00:00",
    book: { id: uuid(n), appBookId: `b-${n}`, title: "Emma", author: "Jane Austen" },
    parcel: {
      id: uuid(1),
      carrierCode: "ups",
      carrierName: "UPS",
      trackingNumber: "1Z12345E0205271688",
      trackingPage: null,
      usualPage: null,
    },
    ...more,
  };
}

/** A message to this endpoint. */
export function messageTo(url: string, more: Partial<Message> = {}): Message {
  return {
    id: uuid(9),
    channel: "webhook",
    kind: "news",
    createdAt: "2026-11-20T10:20:01+00:00",
    person: {
      id: uuid(5),
      appUserId: "u-5",
      name: null,
      language: "en",
      timeZone: "UTC",
      email: null,
      phoneNumber: null,
      unsubscribeToken: null,
    },
    endpoint: { id: uuid(6), url, description: null, disabledReason: null, secrets: [SECRET] },
    news: [newsOf(2)],
    ...more,
  };
}
