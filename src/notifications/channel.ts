import type { ChannelCode, Message } from "./message.ts";

/** The words of `bookpost_private.delivery_outcomes` beside `sent`; what follows from each is decided there. */
export type SendFailure =
  | "unavailable"
  | "unanswered"
  | "deferred"
  | "rate_limited"
  | "misconfigured"
  | "local"
  | "refused"
  | "no_such_address"
  | "opted_out"
  | "gone";

/** How handing a message over ended. */
export type SendResult =
  | {
      readonly outcome: "sent";
      /** What the other side calls it, if it said. */
      readonly providerId: string | null;
    }
  | {
      readonly outcome: SendFailure;
      /** A sentence for people, without address, number, secret or the message's text. */
      readonly error: string;
      /** How long the other side asked us to wait. */
      readonly retryAfterMs?: number | null;
    };

/** One way to people. One per process: it holds the connections. */
export interface Channel {
  readonly code: ChannelCode;
  /**
   * Hands one message over, once. Never throws for trouble of the other side;
   * takes 45 seconds at most. `signal` breaks it off, as `local`, where nothing
   * has gone out yet.
   */
  send(message: Message, signal: AbortSignal): Promise<SendResult>;
  /** Ends idle connections and those still busy. */
  close(): Promise<void>;
}
