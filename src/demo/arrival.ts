/** A message that has reached someone in the demo. */
export interface Arrival {
  readonly channel: "email" | "text";
  /** An address or a number, as the message was sent to. */
  readonly to: string;
  /** An email's subject; a text message has nothing but this. */
  readonly headline: string;
  /** The first lines of what follows. */
  readonly lines: readonly string[];
}
