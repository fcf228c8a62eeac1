import type pg from "pg";
import { persist } from "../db/persist.ts";
import { beginDelivery } from "../sql/beginDelivery.ts";
import { endDelivery } from "../sql/endDelivery.ts";
import type { Channel, SendResult } from "./channel.ts";
import type { ChannelCode, Message } from "./message.ts";

/** How one turn of a message ended. */
export type DeliveryEnd =
  | { readonly kind: "tried"; readonly result: SendResult; readonly state: string | null }
  | { readonly kind: "waits" | "ended"; readonly reason: string }
  /** This process has no means to send by that channel. */
  | { readonly kind: "elsewhere" };

export interface Deliverer {
  /**
   * Gives one message its turn: asks whether it is to be sent, sends it, writes
   * down how that ended. Three steps, and no transaction is open during the
   * second. Throws for trouble of our own only.
   */
  deliver(deliveryId: string, channel: ChannelCode, signal: AbortSignal): Promise<DeliveryEnd>;
}

export function createDeliverer(options: {
  readonly pool: pg.Pool;
  readonly workerId: string;
  readonly channels: ReadonlyMap<ChannelCode, Channel>;
}): Deliverer {
  const { pool, workerId, channels } = options;
  return {
    async deliver(deliveryId, code, signal) {
      const channel = channels.get(code);
      if (channel === undefined) return { kind: "elsewhere" };
      const order = await persist(() => beginDelivery(pool, deliveryId, workerId));
      if (order.verdict !== "send")
        return { kind: order.verdict === "wait" ? "waits" : "ended", reason: order.reason };
      const result = await channel.send(order.message as Message, signal);
      // Told once more where the answer is lost: the second finds that the attempt has ended.
      const state = await persist(() => endDelivery(pool, deliveryId, order.attempt, result));
      return { kind: "tried", result, state };
    },
  };
}
