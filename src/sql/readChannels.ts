import type { Queryable } from "../db/withTransaction.ts";

/** A way to people at a glance, as `bookpost_ops.channels` shows it. */
export interface ChannelRow {
  readonly channel: string;
  /** A living worker can send by it. While no worker lives: as it was. */
  readonly isConfigured: boolean;
  readonly waiting: number;
  /** Of those that wait, how long the first has been due; negative: it is not yet. Null: none waits. */
  readonly longestOverdueMs: number | null;
  readonly sentLastHour: number;
  readonly dead: number;
  /** Until when it is left alone after trouble on the other side, and which. */
  readonly heldUntil: Date | null;
  readonly lastError: string | null;
  /** Workers that live, whatever they can send by. */
  readonly livingWorkers: number;
}

/** Email, text messages and webhooks, by code. */
export async function readChannels(db: Queryable): Promise<ChannelRow[]> {
  const { rows } = await db.query<ChannelRow>(
    `select c.channel, c.is_configured as "isConfigured", c.waiting,
      extract(epoch from clock_timestamp() - c.oldest_due_at)::float8 * 1000 as "longestOverdueMs",
      c.sent_last_hour as "sentLastHour", c.dead, c.held_until as "heldUntil", c.last_error as "lastError",
      (
        select count(*)::integer from bookpost_private.workers w
        where w.beat_at > clock_timestamp() - bookpost_private.dead_after()
      ) as "livingWorkers"
    from bookpost_ops.channels c
    order by c.channel`,
  );
  return rows;
}
