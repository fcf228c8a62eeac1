/** What is told of one book; times are ISO 8601, local ones without an offset. As `bookpost_private.message_of` writes it. */
export interface News {
  readonly notificationId: string;
  readonly kind: "stage" | "action_required" | "estimate";
  readonly status: string;
  readonly statusVersion: number;
  readonly isActionRequired: boolean;
  /** The carrier's own words. Never trusted: whoever shows them escapes them. */
  readonly detail: string | null;
  readonly location: string | null;
  readonly occurredAt: string | null;
  readonly localTime: string | null;
  /** The zone or offset that the carrier gave. */
  readonly timeZone: string | null;
  readonly isDateOnly: boolean;
  readonly estimatedFrom: string | null;
  readonly estimatedUntil: string | null;
  readonly estimatedTimeZone: string | null;
  readonly isEstimateADate: boolean;
  readonly createdAt: string;
  readonly book: {
    readonly id: string;
    readonly appBookId: string | null;
    readonly title: string;
    readonly author: string | null;
  };
  readonly parcel: {
    readonly id: string;
    readonly carrierCode: string;
    readonly carrierName: string;
    readonly trackingNumber: string;
    /** What the carrier named, else the owner's own link, else the usual page. */
    readonly trackingPage: string | null;
    /** The carrier's usual page: ours, so safe where a stranger's link would not be. */
    readonly usualPage: string | null;
  };
}

export interface Person {
  readonly id: string;
  readonly appUserId: string | null;
  readonly name: string | null;
  readonly language: string;
  readonly timeZone: string;
  /** Only in a message by email. */
  readonly email: string | null;
  /** Only in a message by text. */
  readonly phoneNumber: string | null;
  /** Only in a message by email. */
  readonly unsubscribeToken: string | null;
}

export interface Endpoint {
  readonly id: string;
  readonly url: string;
  readonly description: string | null;
  readonly disabledReason: "gone" | "failing" | "by_hand" | null;
  /** Newest first; more than one while an old one still counts. Only in a message by webhook. */
  readonly secrets: readonly string[] | null;
}

export type MessageKind = "news" | "digest" | "test" | "verification" | "endpoint_disabled";

/** One message to one person or endpoint, complete: whoever sends it asks the database nothing more. */
export interface Message {
  /** The delivery's id: the idempotency key wherever a channel takes one. The same in every attempt. */
  readonly id: string;
  readonly channel: ChannelCode;
  readonly kind: MessageKind;
  readonly createdAt: string;
  /** Null only in a test to an endpoint that serves everyone. */
  readonly person: Person | null;
  readonly endpoint: Endpoint | null;
  /** One at least where it is news or a digest, in the order of titles; else none. */
  readonly news: readonly News[];
  /** Only in a verification. */
  readonly code?: string;
}

export type ChannelCode = "email" | "sms" | "webhook";
