--! Previous: sha1:fa04ef268a7078d5107ca39bd05d08cab2fc5be0
--! Hash: sha1:cf3d386ca01f35cdf1c8bde567571b9c9f35dcb2
--! Message: consent

-- What people and apps say of how they want to be told: verifying a number, opting out and in, webhooks, a test.

create function bookpost.unsubscribe(token uuid) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update bookpost.users u set email_opted_out_at = coalesce(u.email_opted_out_at, clock_timestamp())
  where u.id = (select t.user_id from bookpost_private.unsubscribe_tokens t where t.token = unsubscribe.token);
  return found;
end;
$$;

comment on function bookpost.unsubscribe(uuid) is
  'The person of an email''s link wants no more email. Returns false where nobody has this token. Said again it changes nothing.';

create function bookpost.opt_in(person uuid, channel text) returns bookpost.users
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_person bookpost.users := bookpost_private.own_user(opt_in.person);
begin
  if opt_in.channel is null or opt_in.channel not in ('email', 'sms') then
    raise exception 'One opts in to email or sms, not to "%".', coalesce(opt_in.channel, '') using errcode = 'BP400';
  end if;
  update bookpost.users u set
    email_opted_out_at = case when opt_in.channel <> 'email' then u.email_opted_out_at end,
    email_refused_at = case when opt_in.channel <> 'email' then u.email_refused_at end,
    is_email_wanted = u.is_email_wanted or opt_in.channel = 'email',
    sms_opted_out_at = case when opt_in.channel <> 'sms' then u.sms_opted_out_at end,
    -- Off until the number is verified, which turns it on.
    is_sms_wanted = u.is_sms_wanted or (opt_in.channel = 'sms' and u.phone_verified_at is not null)
  where u.id = v_person.id
  returning u.* into v_person;
  return v_person;
end;
$$;

comment on function bookpost.opt_in(uuid, text) is
  'The person herself wants email or sms (again): ends her opting out, and the refusal of her address. Left out (null), the person is who is signed in. Raises BP404 for an unknown person, BP400 for another channel.';

create function bookpost.opt_out(person uuid, channel text) returns bookpost.users
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_person bookpost.users := bookpost_private.own_user(opt_out.person);
begin
  if opt_out.channel is null or opt_out.channel not in ('email', 'sms') then
    raise exception 'One opts out of email or sms, not of "%".', coalesce(opt_out.channel, '') using errcode = 'BP400';
  end if;
  update bookpost.users u set
    email_opted_out_at = case when opt_out.channel = 'email' then coalesce(u.email_opted_out_at, clock_timestamp()) else u.email_opted_out_at end,
    sms_opted_out_at = case when opt_out.channel = 'sms' then coalesce(u.sms_opted_out_at, clock_timestamp()) else u.sms_opted_out_at end
  where u.id = v_person.id
  returning u.* into v_person;
  return v_person;
end;
$$;

comment on function bookpost.opt_out(uuid, text) is
  'The person herself wants no more email or sms; counts from the next message on, also for those that wait. Left out (null), the person is who is signed in. Said twice, the first word counts. Raises BP404 for an unknown person, BP400 for another channel.';

create function bookpost.request_phone_verification(person uuid) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_now timestamptz := clock_timestamp();
  v_person bookpost.users := bookpost_private.own_user(request_phone_verification.person);
  v_id uuid;
begin
  if v_person.phone_number is null then
    raise exception 'User % has no phone number to verify.', v_person.id using errcode = 'BP400';
  end if;
  if v_person.phone_verified_at is not null then
    raise exception 'The phone number of user % is verified already.', v_person.id using errcode = 'BP409';
  end if;
  if v_person.sms_opted_out_at is not null then
    raise exception 'User % has opted out of text messages by STOP: only START from that phone, and opt_in, end it.', v_person.id using errcode = 'BP409';
  end if;
  if not (select c.is_configured from bookpost_private.channels c where c.channel = 'sms') then
    raise exception 'No worker can send text messages.' using errcode = 'BP409', hint = 'Set SMS_PROVIDER and its credentials, and start a worker.';
  end if;
  insert into bookpost_private.phone_verifications as p (user_id, phone_number) values (v_person.id, v_person.phone_number)
  -- A second request of this person at the same time waits here, and counts.
  on conflict (user_id) do update set
    phone_number = excluded.phone_number,
    code_hash = case when p.phone_number = excluded.phone_number then p.code_hash end,
    tries = case when p.phone_number = excluded.phone_number then p.tries else 0 end;
  -- So does one of another person for this number or its neighbours.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('bookpost.code:' || left(v_person.phone_number, -3), 0));
  -- Who has codes sent to numbers of a friend's network is paid for them (pumping): 3 an hour and 10 a day for each person,
  -- whatever her number is; 10 a day for each number, whoever asks; 30 a day for numbers alike but for the last three digits
  -- (chosen).
  if exists (
    select
    from (
      select
        count(*) filter (where r.user_id = v_person.id and r.requested_at > v_now - interval '1 hour') as by_person_hour,
        count(*) filter (where r.user_id = v_person.id) as by_person,
        count(*) filter (where r.phone_number = v_person.phone_number) as to_number,
        count(*) filter (where left(r.phone_number, -3) = left(v_person.phone_number, -3)) as to_block
      from bookpost_private.code_requests r
      where r.requested_at > v_now - interval '1 day'
        and (r.user_id = v_person.id or left(r.phone_number, -3) = left(v_person.phone_number, -3))
    ) n
    where n.by_person_hour >= 3 or n.by_person >= 10 or n.to_number >= 10 or n.to_block >= 30
  ) then
    raise exception 'Too many codes were asked for: 3 an hour and 10 a day are sent.' using errcode = 'BP409';
  end if;
  insert into bookpost_private.code_requests (user_id, phone_number) values (v_person.id, v_person.phone_number);
  insert into bookpost_private.deliveries (user_id, channel, kind) values (v_person.id, 'sms', 'verification') returning id into v_id;
  perform bookpost_private.add_delivery_jobs(array[v_id]);
  return v_id;
end;
$$;

comment on function bookpost.request_phone_verification(uuid) is
  'Sends a code to the person''s phone number, to be given back to verify_phone_number within 10 minutes. Returns the message''s id. Left out (null), the person is who is signed in. Raises BP404 for an unknown person, BP400 without a number, BP409 where it is verified already, where she has opted out, where no worker can send, and for too many.';

-- A code of six digits for a message that goes out now; the former one counts no more. Its plain text is kept nowhere.
-- Holds the row, so that the number that it is sent to is the one that it proves.
create function bookpost_private.make_code(person uuid) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  -- The last 48 bits of a version 4 UUID are random (RFC 9562, section 5.4), and Postgres takes them from its strong source.
  v_code text := lpad(((('x' || right(gen_random_uuid()::text, 12))::bit(48)::bigint) % 1000000)::text, 6, '0');
begin
  update bookpost_private.phone_verifications p set
    code_hash = sha256(convert_to(p.user_id || v_code, 'UTF8')), code_ends_at = clock_timestamp() + interval '10 minutes', tries = 0
  where p.user_id = make_code.person;
  return v_code;
end;
$$;

create function bookpost.verify_phone_number(person uuid, code text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_person bookpost.users := bookpost_private.own_user(verify_phone_number.person);
  v_verification bookpost_private.phone_verifications;
begin
  -- A second guess at the same time waits here, and counts.
  update bookpost_private.phone_verifications p set tries = p.tries + 1
  where p.user_id = v_person.id
  returning p.* into v_verification;
  -- 5 guesses of a million (chosen). No reason is given: to whoever guesses, all refusals are alike.
  if not found or v_verification.tries > 5 or v_verification.code_hash is null or v_verification.code_ends_at < clock_timestamp()
    or sha256(convert_to(v_verification.user_id || regexp_replace(coalesce(code, ''), '[[:space:]-]', '', 'g'), 'UTF8')) <> v_verification.code_hash
  then
    return false;
  end if;
  update bookpost.users u set phone_verified_at = clock_timestamp(), is_sms_wanted = true
  where u.id = v_verification.user_id and u.phone_number = v_verification.phone_number;
  if not found then
    return false;
  end if;
  update bookpost_private.phone_verifications p set code_hash = null where p.user_id = v_verification.user_id;
  return true;
end;
$$;

comment on function bookpost.verify_phone_number(uuid, text) is
  'Gives back the code that came by text message: the number is verified, and text messages are on. False for a wrong code, one older than 10 minutes, after 5 wrong ones, or where the number has changed. Left out (null), the person is who is signed in. Raises BP404 for an unknown person.';

-- The columns that a person sets herself. NOTE: the app's own id of her, what was verified and what she has opted out of are
-- not among them.
create function bookpost_private.require_keys(changes jsonb, known text[]) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if changes is null or jsonb_typeof(changes) <> 'object' then
    raise exception 'Say what is to change, as a JSON object.' using errcode = 'BP400', hint = 'Known: ' || array_to_string(known, ', ');
  end if;
  if exists (select from jsonb_object_keys(changes) k where k <> all (known)) then
    raise exception 'Something else cannot be changed here.' using errcode = 'BP400', hint = 'Known: ' || array_to_string(known, ', ');
  end if;
end;
$$;

create function bookpost.set_contact(person uuid, changes jsonb) returns bookpost.users
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_person bookpost.users := bookpost_private.own_user(set_contact.person);
begin
  perform bookpost_private.require_keys(changes, array['name', 'email', 'phone_number']);
  update bookpost.users u set (name, email, phone_number) =
    (select n.name, n.email, n.phone_number from jsonb_populate_record(u, changes) n)
  where u.id = v_person.id
  returning u.* into v_person;
  return v_person;
end;
$$;

comment on function bookpost.set_contact(uuid, jsonb) is
  'What a person is called and how she is reached: name, email, phone_number (E.164); what is not named stays, null takes away. A new number is not verified. Left out (null), the person is who is signed in. Of two calls at once the second waits, and its word counts. Raises BP404 for an unknown person, BP400 for another key; what breaks a rule is refused by its constraint.';

create function bookpost.set_notification_preferences(person uuid, changes jsonb) returns bookpost.users
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_person bookpost.users := bookpost_private.own_user(set_notification_preferences.person);
begin
  perform bookpost_private.require_keys(
    changes, array['is_email_wanted', 'is_sms_wanted', 'language', 'time_zone', 'quiet_from', 'quiet_until']
  );
  update bookpost.users u set (is_email_wanted, is_sms_wanted, language, time_zone, quiet_from, quiet_until) = (
    select n.is_email_wanted, n.is_sms_wanted, n.language, n.time_zone, n.quiet_from, n.quiet_until
    from jsonb_populate_record(u, changes) n
  )
  where u.id = v_person.id
  returning u.* into v_person;
  return v_person;
end;
$$;

comment on function bookpost.set_notification_preferences(uuid, jsonb) is
  'How a person wants to be told: is_email_wanted, is_sms_wanted, language, time_zone, quiet_from, quiet_until; what is not named stays. What she has opted out of stays so whatever is wanted here: opt_in ends it. Left out (null), the person is who is signed in. Of two calls at once the second waits, and its word counts. Raises BP404 for an unknown person, BP400 for another key; what breaks a rule is refused by its constraint.';

-- A secret as Standard Webhooks wants it: 32 random bytes.
create function bookpost_private.make_secret() returns text
language sql volatile
set search_path = pg_catalog, pg_temp
return 'whsec_' || encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64');

create function bookpost.add_webhook(url text, person uuid default null, description text default null)
returns table (endpoint_id uuid, secret text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  if coalesce(add_webhook.url, '') !~ '^https?://[^[:space:]@/]+(/[^[:space:]]*)?$' or length(add_webhook.url) > 2000 then
    raise exception 'A webhook needs an http(s) address without user and password; "%" is none.', left(coalesce(add_webhook.url, ''), 100) using errcode = 'BP400';
  end if;
  if add_webhook.person is not null and not exists (select from bookpost.users u where u.id = add_webhook.person) then
    raise exception 'There is no user %.', add_webhook.person using errcode = 'BP404';
  end if;
  secret := bookpost_private.make_secret();
  insert into bookpost.webhook_endpoints (url, user_id, description)
  values (add_webhook.url, add_webhook.person, add_webhook.description)
  returning id into endpoint_id;
  insert into bookpost_private.webhook_secrets (endpoint_id, secret) values (endpoint_id, secret);
  return next;
end;
$$;

comment on function bookpost.add_webhook(text, uuid, text) is
  'Registers an endpoint for one person''s news, or everyone''s where none is named. Returns its id and the secret that messages are signed with: shown this once. Raises BP400 for what is no address, BP404 for an unknown person.';

create function bookpost.rotate_webhook_secret(endpoint uuid, overlap interval default '24 hours') returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_secret text := bookpost_private.make_secret();
begin
  -- A second rotation at the same time waits here.
  perform 1 from bookpost.webhook_endpoints e where e.id = rotate_webhook_secret.endpoint for no key update;
  if not found then
    raise exception 'There is no webhook %.', rotate_webhook_secret.endpoint using errcode = 'BP404';
  end if;
  if rotate_webhook_secret.overlap not between interval '0' and interval '30 days' then
    raise exception 'The old secret may live on for 30 days at most, not for %.', rotate_webhook_secret.overlap using errcode = 'BP400';
  end if;
  delete from bookpost_private.webhook_secrets s where s.endpoint_id = rotate_webhook_secret.endpoint and s.ends_at < clock_timestamp();
  -- Those of former rotations as well: with an overlap of nothing, a secret that leaked signs no more, however it came to be old.
  update bookpost_private.webhook_secrets s set ends_at = least(s.ends_at, clock_timestamp() + rotate_webhook_secret.overlap)
  where s.endpoint_id = rotate_webhook_secret.endpoint;
  insert into bookpost_private.webhook_secrets (endpoint_id, secret) values (rotate_webhook_secret.endpoint, v_secret);
  return v_secret;
end;
$$;

comment on function bookpost.rotate_webhook_secret(uuid, interval) is
  'A new secret for an endpoint, returned this once; messages are signed with the old one as well until the overlap is over. Raises BP404, BP400.';

create function bookpost.enable_webhook(endpoint uuid) returns bookpost.webhook_endpoints
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_endpoint bookpost.webhook_endpoints;
begin
  update bookpost.webhook_endpoints e set disabled_at = null, disabled_reason = null where e.id = enable_webhook.endpoint returning e.* into v_endpoint;
  if not found then
    raise exception 'There is no webhook %.', enable_webhook.endpoint using errcode = 'BP404';
  end if;
  return v_endpoint;
end;
$$;

comment on function bookpost.enable_webhook(uuid) is
  'Sends to an endpoint again, from the next news on; what died meanwhile is brought back by retry_delivery. Raises BP404.';

create function bookpost.disable_webhook(endpoint uuid) returns bookpost.webhook_endpoints
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_endpoint bookpost.webhook_endpoints;
begin
  perform bookpost_private.disable_endpoint(disable_webhook.endpoint, 'by_hand');
  select e.* into v_endpoint from bookpost.webhook_endpoints e where e.id = disable_webhook.endpoint;
  if not found then
    raise exception 'There is no webhook %.', disable_webhook.endpoint using errcode = 'BP404';
  end if;
  return v_endpoint;
end;
$$;

comment on function bookpost.disable_webhook(uuid) is 'Sends nothing more to an endpoint until enable_webhook. Raises BP404.';

create function bookpost_private.send_test(person uuid) returns setof uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids uuid[];
begin
  if not exists (select from bookpost.users u where u.id = send_test.person) then
    raise exception 'There is no user %.', send_test.person using errcode = 'BP404';
  end if;
  with queued as (
    insert into bookpost_private.deliveries (user_id, channel, endpoint_id, kind)
    select send_test.person, c.channel, e.id, 'test'
    from bookpost_private.channels c
    left join bookpost.webhook_endpoints e
      on c.channel = 'webhook' and (e.user_id = send_test.person or e.user_id is null) and e.disabled_at is null
    where c.is_configured and (c.channel <> 'webhook' or e.id is not null)
    returning id
  )
  select array_agg(q.id) into v_ids from queued q;
  if v_ids is not null then
    perform bookpost_private.add_delivery_jobs(v_ids);
  end if;
  return query select unnest(v_ids);
end;
$$;

comment on function bookpost_private.send_test(uuid) is
  'Queues a test message to a person by every channel that is configured and to her endpoints; those she is not reached by end as dropped, with the reason. Returns their ids. Raises BP404. Does not commit.';
