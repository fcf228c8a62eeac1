import { expect, test } from "vitest";
import { testDatabase } from "../../helpers/testDatabase.ts";

const db = testDatabase();

const OURS = "('bookpost', 'bookpost_private', 'bookpost_ops')";

async function names(sql: string): Promise<string[]> {
  const { rows } = await db.pool.query<{ name: string }>(sql);
  return rows.map(({ name }) => name);
}

test("every table of ours has row-level security enabled and forced, and at least one policy", async () => {
  expect(
    await names(
      `select format('%s.%s', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname in ${OURS} and c.relkind in ('r', 'p')
         and not (c.relrowsecurity and c.relforcerowsecurity and exists (select from pg_policy p where p.polrelid = c.oid))`,
    ),
  ).toEqual([]);
});

test("every view of ours runs with its reader's rights, and none is materialised", async () => {
  expect(
    await names(
      `select format('%s.%s', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname in ${OURS} and c.relkind in ('v', 'm')
         and (c.relkind = 'm' or not coalesce(c.reloptions @> '{security_invoker=true}', false))`,
    ),
  ).toEqual([]);
});

test("no function of ours may be executed by just anyone", async () => {
  expect(
    await names(
      `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname in ${OURS}
         and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)`,
    ),
  ).toEqual([]);
});

test("no table, view or schema of ours is open to just anyone", async () => {
  expect(
    await names(
      `select format('%s.%s', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname in ${OURS} and exists (select from aclexplode(c.relacl) a where a.grantee = 0)
       union all
       select n.nspname from pg_namespace n
       where n.nspname in ${OURS} and exists (select from aclexplode(n.nspacl) a where a.grantee = 0)`,
    ),
  ).toEqual([]);
});

test("exactly these functions run with their owner's rights", async () => {
  expect(
    await names(
      `select format('%s.%s', n.nspname, p.proname) as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname in ${OURS} and p.prosecdef order by 1`,
    ),
  ).toMatchInlineSnapshot(`
    [
      "bookpost.add_webhook",
      "bookpost.correct_tracking_number",
      "bookpost.disable_webhook",
      "bookpost.enable_webhook",
      "bookpost.mark_book",
      "bookpost.mark_notifications_read",
      "bookpost.opt_in",
      "bookpost.opt_out",
      "bookpost.parcels_did_last_look_work",
      "bookpost.parcels_last_looked_at",
      "bookpost.parcels_next_look_at",
      "bookpost.pruned_through",
      "bookpost.refresh_book",
      "bookpost.request_phone_verification",
      "bookpost.revoke_tracking_link",
      "bookpost.rotate_webhook_secret",
      "bookpost.set_contact",
      "bookpost.set_notification_preferences",
      "bookpost.share_parcel",
      "bookpost.shared_parcel",
      "bookpost.stop_tracking",
      "bookpost.told_through",
      "bookpost.track_book",
      "bookpost.tracking_events_is_of_earlier_life",
      "bookpost.unsubscribe",
      "bookpost.verify_phone_number",
      "bookpost_private.tg_books__tell_changes",
      "bookpost_private.tg_carrier_apis__insert_companions",
      "bookpost_private.tg_carrier_apis__keep_day_counts",
      "bookpost_private.tg_carrier_limits__insert_window",
      "bookpost_private.tg_carriers__move_checks",
      "bookpost_private.tg_notifications__tell_changes",
      "bookpost_private.tg_parcel_books__note_forsaken",
      "bookpost_private.tg_parcel_books__tell_changes",
      "bookpost_private.tg_parcels__tell_changes",
      "bookpost_private.tg_tracking_events__tell_changes",
    ]
  `);
});

test("every function whose names are looked up when it runs says where: the catalogue, temporary objects last", async () => {
  expect(
    await names(
      `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname in ${OURS} and (p.prosecdef or p.prosqlbody is null)
         and not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'], false)`,
    ),
  ).toEqual([]);
});

test("no role of ours is a superuser, passes row-level security, makes roles or databases; the API's login inherits nothing", async () => {
  const { rows } = await db.pool.query(
    `select rolname, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication as is_mighty, rolinherit
     from pg_roles where rolname ~ '^bookpost' order by 1`,
  );
  expect(rows).toEqual([
    { rolname: "bookpost", is_mighty: false, rolinherit: true },
    { rolname: "bookpost_authenticator", is_mighty: false, rolinherit: false },
    { rolname: "bookpost_member", is_mighty: false, rolinherit: false },
    { rolname: "bookpost_operator", is_mighty: false, rolinherit: false },
    { rolname: "bookpost_visitor", is_mighty: false, rolinherit: false },
    { rolname: "bookpost_worker", is_mighty: false, rolinherit: false },
  ]);
});

test("who is a member of whom", async () => {
  expect(
    await names(
      `select m.member::regrole || ' is ' || m.roleid::regrole as name from pg_auth_members m
       where m.roleid::regrole::text ~ '^bookpost' and m.member::regrole::text ~ '^bookpost' order by 1`,
    ),
  ).toEqual([
    "bookpost is bookpost_member",
    "bookpost is bookpost_operator",
    "bookpost is bookpost_visitor",
    "bookpost is bookpost_worker",
    "bookpost_authenticator is bookpost_member",
    "bookpost_authenticator is bookpost_operator",
    "bookpost_authenticator is bookpost_visitor",
  ]);
});

test("every grant to a role of the API, in full", async () => {
  expect(
    await names(
      `select g.grantee || ' may ' || string_agg(g.privilege, ', ' order by g.privilege) || ' ' || g.object as name
       from (
         select a.grantee::regrole::text as grantee, lower(a.privilege_type) as privilege, format('%s.%s', n.nspname, c.relname) as object
         from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join lateral aclexplode(c.relacl) a
         where n.nspname in ${OURS}
         union all
         select a.grantee::regrole::text, lower(a.privilege_type), format('%s.%s.%s', n.nspname, c.relname, t.attname)
         from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace
         cross join lateral aclexplode(t.attacl) a where n.nspname in ${OURS}
         union all
         select a.grantee::regrole::text, lower(a.privilege_type), format('%s.%s', n.nspname, p.proname)
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace cross join lateral aclexplode(p.proacl) a
         where n.nspname in ${OURS}
         union all
         select a.grantee::regrole::text, lower(a.privilege_type), n.nspname
         from pg_namespace n cross join lateral aclexplode(n.nspacl) a where n.nspname !~ '^pg_'
       ) g
       where g.grantee in ('bookpost_authenticator', 'bookpost_visitor', 'bookpost_member', 'bookpost_operator')
       group by g.grantee, g.object order by 1`,
    ),
  ).toMatchInlineSnapshot(`
    [
      "bookpost_member may execute bookpost.books_current_parcel",
      "bookpost_member may execute bookpost.changes_since",
      "bookpost_member may execute bookpost.correct_tracking_number",
      "bookpost_member may execute bookpost.current_user_id",
      "bookpost_member may execute bookpost.encode_cursor",
      "bookpost_member may execute bookpost.history_id",
      "bookpost_member may execute bookpost.latest_cursor",
      "bookpost_member may execute bookpost.mark_book",
      "bookpost_member may execute bookpost.mark_notifications_read",
      "bookpost_member may execute bookpost.normalize_tracking_number",
      "bookpost_member may execute bookpost.opt_in",
      "bookpost_member may execute bookpost.opt_out",
      "bookpost_member may execute bookpost.parcels_did_last_look_work",
      "bookpost_member may execute bookpost.parcels_is_overdue",
      "bookpost_member may execute bookpost.parcels_last_looked_at",
      "bookpost_member may execute bookpost.parcels_next_look_at",
      "bookpost_member may execute bookpost.parcels_tracking_page",
      "bookpost_member may execute bookpost.present_snapshot",
      "bookpost_member may execute bookpost.pruned_through",
      "bookpost_member may execute bookpost.refresh_book",
      "bookpost_member may execute bookpost.request_phone_verification",
      "bookpost_member may execute bookpost.revoke_tracking_link",
      "bookpost_member may execute bookpost.set_contact",
      "bookpost_member may execute bookpost.set_notification_preferences",
      "bookpost_member may execute bookpost.share_parcel",
      "bookpost_member may execute bookpost.shared_parcel",
      "bookpost_member may execute bookpost.stop_tracking",
      "bookpost_member may execute bookpost.told_through",
      "bookpost_member may execute bookpost.track_book",
      "bookpost_member may execute bookpost.tracking_events_is_of_earlier_life",
      "bookpost_member may execute bookpost.unsubscribe",
      "bookpost_member may execute bookpost.users_unread_notification_count",
      "bookpost_member may execute bookpost.verify_phone_number",
      "bookpost_member may select bookpost.books",
      "bookpost_member may select bookpost.carrier_apis",
      "bookpost_member may select bookpost.carrier_circuits",
      "bookpost_member may select bookpost.carrier_limits",
      "bookpost_member may select bookpost.carriers",
      "bookpost_member may select bookpost.changes",
      "bookpost_member may select bookpost.circuit_states",
      "bookpost_member may select bookpost.notification_kinds",
      "bookpost_member may select bookpost.notifications",
      "bookpost_member may select bookpost.parcel_books",
      "bookpost_member may select bookpost.parcel_statuses",
      "bookpost_member may select bookpost.parcels",
      "bookpost_member may select bookpost.tracking_events",
      "bookpost_member may select bookpost.tracking_links",
      "bookpost_member may select bookpost.users",
      "bookpost_member may select bookpost.webhook_endpoints",
      "bookpost_member may usage bookpost",
      "bookpost_operator may execute bookpost.books_current_parcel",
      "bookpost_operator may execute bookpost.changes_since",
      "bookpost_operator may execute bookpost.correct_tracking_number",
      "bookpost_operator may execute bookpost.current_user_id",
      "bookpost_operator may execute bookpost.encode_cursor",
      "bookpost_operator may execute bookpost.history_id",
      "bookpost_operator may execute bookpost.latest_cursor",
      "bookpost_operator may execute bookpost.mark_book",
      "bookpost_operator may execute bookpost.mark_notifications_read",
      "bookpost_operator may execute bookpost.normalize_tracking_number",
      "bookpost_operator may execute bookpost.opt_in",
      "bookpost_operator may execute bookpost.opt_out",
      "bookpost_operator may execute bookpost.parcels_did_last_look_work",
      "bookpost_operator may execute bookpost.parcels_is_overdue",
      "bookpost_operator may execute bookpost.parcels_last_looked_at",
      "bookpost_operator may execute bookpost.parcels_next_look_at",
      "bookpost_operator may execute bookpost.parcels_tracking_page",
      "bookpost_operator may execute bookpost.present_snapshot",
      "bookpost_operator may execute bookpost.pruned_through",
      "bookpost_operator may execute bookpost.refresh_book",
      "bookpost_operator may execute bookpost.request_phone_verification",
      "bookpost_operator may execute bookpost.revoke_tracking_link",
      "bookpost_operator may execute bookpost.set_contact",
      "bookpost_operator may execute bookpost.set_notification_preferences",
      "bookpost_operator may execute bookpost.share_parcel",
      "bookpost_operator may execute bookpost.shared_parcel",
      "bookpost_operator may execute bookpost.stop_tracking",
      "bookpost_operator may execute bookpost.told_through",
      "bookpost_operator may execute bookpost.track_book",
      "bookpost_operator may execute bookpost.tracking_events_is_of_earlier_life",
      "bookpost_operator may execute bookpost.unsubscribe",
      "bookpost_operator may execute bookpost.users_unread_notification_count",
      "bookpost_operator may execute bookpost.verify_phone_number",
      "bookpost_operator may select bookpost.books",
      "bookpost_operator may select bookpost.carrier_apis",
      "bookpost_operator may select bookpost.carrier_circuits",
      "bookpost_operator may select bookpost.carrier_limits",
      "bookpost_operator may select bookpost.carriers",
      "bookpost_operator may select bookpost.changes",
      "bookpost_operator may select bookpost.circuit_states",
      "bookpost_operator may select bookpost.notification_kinds",
      "bookpost_operator may select bookpost.notifications",
      "bookpost_operator may select bookpost.parcel_books",
      "bookpost_operator may select bookpost.parcel_statuses",
      "bookpost_operator may select bookpost.parcels",
      "bookpost_operator may select bookpost.tracking_events",
      "bookpost_operator may select bookpost.tracking_links",
      "bookpost_operator may select bookpost.users",
      "bookpost_operator may select bookpost.webhook_endpoints",
      "bookpost_operator may usage bookpost",
      "bookpost_visitor may execute bookpost.current_user_id",
      "bookpost_visitor may execute bookpost.normalize_tracking_number",
      "bookpost_visitor may execute bookpost.shared_parcel",
      "bookpost_visitor may execute bookpost.unsubscribe",
      "bookpost_visitor may select bookpost.carrier_apis",
      "bookpost_visitor may select bookpost.carrier_circuits",
      "bookpost_visitor may select bookpost.carrier_limits",
      "bookpost_visitor may select bookpost.carriers",
      "bookpost_visitor may select bookpost.circuit_states",
      "bookpost_visitor may select bookpost.notification_kinds",
      "bookpost_visitor may select bookpost.parcel_statuses",
      "bookpost_visitor may usage bookpost",
    ]
  `);
});
