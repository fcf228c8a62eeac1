--! Previous: -
--! Hash: sha1:1a45b31ef5220659cee8e0ed63e0fe01f21e0194
--! Message: schemas

-- Three schemas, one per audience. An app's own schemas are never touched.
create schema bookpost;
create schema bookpost_private;
create schema bookpost_ops;

comment on schema bookpost is
  'Books in the post, for people and the API. Everything here is readable through GraphQL, under row-level security.';
comment on schema bookpost_private is
  'The worker''s own: what is due, who is looking, what it cost. No API role may enter.';
comment on schema bookpost_ops is
  'Views for people at psql: what is going on, and why.';

grant usage on schema bookpost to bookpost_visitor, bookpost_member, bookpost_operator, bookpost_worker;
grant usage on schema bookpost_private, bookpost_ops to bookpost_worker;

create function bookpost.current_user_id() returns uuid
language sql stable parallel safe
return nullif(current_setting('bookpost.user_id', true), '')::uuid;

comment on function bookpost.current_user_id() is
  'The signed-in user of this transaction (setting bookpost.user_id); null when nobody is.';

-- NOTE: there is no trigger or default privilege that grants execute to public;
-- the last migration of each set revokes it and grants what is meant.

-- Every function pins its search_path to `pg_catalog, pg_temp` and writes all else out in full. pg_temp is named so that
-- it comes last: left out it would come first, and a caller's temporary type could stand in for uuid or text.

-- Sets a table up the way every table of bookpost is: row-level security on and
-- forced (so that the owner is bound too), and open to the worker. What an API
-- role may see is then said table by table.
create function bookpost_private.protect_table(target regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy worker_does_all on %s to bookpost_worker using (true) with check (true)', target);
  execute format('grant select, insert, update, delete on %s to bookpost_worker', target);
end;
$$;

comment on function bookpost_private.protect_table(regclass) is
  'Row-level security enabled and forced, everything allowed to bookpost_worker, nothing to anyone else. For migrations.';
