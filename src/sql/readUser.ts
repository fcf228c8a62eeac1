import type { Queryable } from "../db/withTransaction.ts";

export interface UserDetails {
  readonly id: string;
  readonly appUserId: string | null;
  readonly name: string | null;
  readonly email: string | null;
  readonly phoneNumber: string | null;
  readonly phoneVerifiedAt: Date | null;
  readonly language: string;
  readonly timeZone: string;
  /** What the clock shows there now: "22:05". */
  readonly localTime: string;
  readonly quietFrom: string | null;
  readonly quietUntil: string | null;
  /** When the quiet hours end that she is in now; null: she is in none. */
  readonly quietEndsAt: Date | null;
  readonly isEmailWanted: boolean;
  readonly isSmsWanted: boolean;
  readonly createdAt: Date;
  readonly books: number;
  readonly unread: number;
  /** Email and text messages: `whyNot` she is not reached, as `bookpost_private.why_not_reached` has it; null: she is. */
  readonly channels: readonly {
    readonly channel: string;
    readonly isConfigured: boolean;
    readonly whyNot: string | null;
  }[];
  /** Hers, and those of apps that serve everyone. */
  readonly webhooks: readonly {
    readonly id: string;
    readonly url: string;
    readonly description: string | null;
    readonly isForEveryone: boolean;
    readonly disabledReason: string | null;
  }[];
}

/** All that is known of a person and how she is reached; null where there is none with this id. */
export async function readUser(db: Queryable, userId: string): Promise<UserDetails | null> {
  const { rows } = await db.query<UserDetails>(
    `select u.id, u.app_user_id as "appUserId", u.name, u.email, u.phone_number as "phoneNumber",
      u.phone_verified_at as "phoneVerifiedAt", u.language, u.time_zone as "timeZone",
      to_char(clock_timestamp() at time zone u.time_zone, 'HH24:MI') as "localTime",
      to_char(u.quiet_from, 'HH24:MI') as "quietFrom", to_char(u.quiet_until, 'HH24:MI') as "quietUntil",
      bookpost_private.quiet_end(u, clock_timestamp()) as "quietEndsAt",
      u.is_email_wanted as "isEmailWanted", u.is_sms_wanted as "isSmsWanted", u.created_at as "createdAt",
      (select count(*)::integer from bookpost.books b where b.owner_id = u.id) as books,
      (select count(*)::integer from bookpost.notifications n where n.user_id = u.id and n.read_at is null) as unread,
      (
        select coalesce(json_agg(json_build_object(
          'channel', c.channel, 'isConfigured', c.is_configured, 'whyNot', bookpost_private.why_not_reached(u, c.channel)
        ) order by c.channel), '[]')
        from bookpost_private.channels c where c.channel <> 'webhook'
      ) as channels,
      (
        select coalesce(json_agg(json_build_object(
          'id', e.id, 'url', e.url, 'description', e.description, 'isForEveryone', e.user_id is null,
          'disabledReason', e.disabled_reason
        ) order by e.created_at, e.id), '[]')
        from bookpost.webhook_endpoints e where e.user_id = u.id or e.user_id is null
      ) as webhooks
    from bookpost.users u
    where u.id = $1::uuid`,
    [userId],
  );
  return rows[0] ?? null;
}
