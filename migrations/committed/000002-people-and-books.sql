--! Previous: sha1:1a45b31ef5220659cee8e0ed63e0fe01f21e0194
--! Hash: sha1:1bb94a53374b9f6aabaa1de37a380d70a5489db7
--! Message: people-and-books

-- Who is told, and what is travelling.

create table bookpost.users (
  id uuid primary key default gen_random_uuid(),
  app_user_id text,
  name text,
  email text,
  phone_number text,
  phone_verified_at timestamptz,
  language text not null default 'en',
  time_zone text not null default 'UTC',
  quiet_from time,
  quiet_until time,
  is_email_wanted boolean not null default true,
  is_sms_wanted boolean not null default false,
  email_opted_out_at timestamptz,
  sms_opted_out_at timestamptz,
  email_refused_at timestamptz,
  created_at timestamptz not null default now(),
  constraint users_app_user_id_is_unique unique (app_user_id),
  -- COLLATE "C" and [0-9]: under an ICU collation \d also takes Arabic-Indic and full-width digits.
  -- E.164: a plus sign, a country code that does not begin with 0, at most 15 digits.
  constraint users_phone_number_is_e164 check (phone_number collate "C" ~ '^\+[1-9][0-9]{1,14}$'),
  -- 254: the longest address SMTP can carry (RFC 5321, section 4.5.3.1.3, less its angle brackets).
  constraint users_email_has_one_at check (length(email) <= 254 and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  constraint users_name_is_short check (length(name) <= 200),
  constraint users_verified_number_is_there check (phone_verified_at is null or phone_number is not null),
  -- ISO 639, with a country where it matters: en, pt-BR.
  constraint users_language_is_a_tag check (language collate "C" ~ '^[a-z]{2,3}(-[A-Z]{2})?$'),
  constraint users_quiet_hours_have_both_ends check ((quiet_from is null) = (quiet_until is null) and quiet_from <> quiet_until),
  constraint users_time_zone_is_known check ((timestamptz '2000-01-01 00:00Z' at time zone time_zone) is not null)
);

comment on table bookpost.users is 'Someone who is told where books are: a collector, a dealer, or a dealer''s customer.';
comment on column bookpost.users.app_user_id is 'The app''s own id of this person; unique, free of meaning to bookpost.';
comment on column bookpost.users.name is 'As the app shows it.';
comment on column bookpost.users.email is 'Where mail goes; null: none.';
comment on column bookpost.users.is_email_wanted is 'Wants email; what the app has set. email_opted_out_at outranks it.';
comment on column bookpost.users.phone_verified_at is
  'When a code sent to phone_number came back, or the app itself had verified it; null: no text message is sent there. A new number is not verified.';
comment on column bookpost.users.language is 'In which messages are written, as a language tag such as en or pt-BR; English where it is not to be had.';
comment on column bookpost.users.quiet_from is 'From this hour, in her own time zone, no email or text message is sent until quiet_until; both null: at any hour.';
comment on column bookpost.users.quiet_until is 'The end of the quiet hours; before quiet_from it is on the next day.';
comment on column bookpost.users.email_opted_out_at is 'When she said no to email herself, by a message''s link. The app cannot overrule it; it ends by her own word (opt_in).';
comment on column bookpost.users.sms_opted_out_at is 'When she said no to text messages herself, by STOP; ends by her own word (opt_in), and with the number.';
comment on column bookpost.users.email_refused_at is 'When her mail server said that this address does not exist; nothing is sent there until it is changed or she opts in again.';
comment on column bookpost.users.phone_number is 'In international form (E.164), such as +442079460123; anything else is refused.';
comment on column bookpost.users.time_zone is 'IANA name such as Europe/London: the zone in which times are shown to this person.';
comment on column bookpost.users.is_sms_wanted is
  'Wants text messages. Off until the number has been verified, which sets it; sms_opted_out_at outranks it.';

-- What was true of the old address says nothing of the new one.
create function bookpost_private.tg_users__forget_address() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if NEW.phone_number is distinct from OLD.phone_number then
    -- An app that has verified the new number itself says so in the same statement.
    if NEW.phone_verified_at is not distinct from OLD.phone_verified_at then
      NEW.phone_verified_at := null;
      NEW.is_sms_wanted := false;
    end if;
    NEW.sms_opted_out_at := null;
  end if;
  if NEW.email is distinct from OLD.email then
    NEW.email_refused_at := null;
  end if;
  return NEW;
end;
$$;

create trigger _100_forget_address before update of phone_number, email on bookpost.users
  for each row execute function bookpost_private.tg_users__forget_address();

create table bookpost.books (
  id uuid primary key default gen_random_uuid(),
  owner_id uuid not null references bookpost.users on delete cascade,
  title text not null,
  author text,
  declared_value numeric(12, 2),
  declared_currency text,
  app_book_id text,
  created_at timestamptz not null default now(),
  constraint books_title_is_not_blank check (title ~ '[^[:space:]]' and length(title) <= 500),
  constraint books_author_is_short check (length(author) <= 500),
  constraint books_declared_value_has_a_currency check ((declared_value is null) = (declared_currency is null)),
  constraint books_declared_value_is_not_negative check (declared_value >= 0),
  constraint books_declared_currency_is_iso_4217 check (declared_currency collate "C" ~ '^[A-Z]{3}$'),
  constraint books_app_book_id_is_unique_per_owner unique (owner_id, app_book_id),
  -- Chosen; far above any id that is in use, and far below what its index can hold (2,704 bytes).
  constraint books_app_book_id_is_short check (length(app_book_id) <= 200),
  -- So that a relation can carry the owner along and row-level security needs no join.
  constraint books_id_and_owner_are_unique unique (id, owner_id)
);

comment on table bookpost.books is 'A book on its way to or from its owner. Where it is, its parcels tell.';
comment on column bookpost.books.owner_id is 'Who is told where it is.';
comment on column bookpost.books.title is 'As the owner wrote it.';
comment on column bookpost.books.author is 'As the owner wrote it; null: not said.';
comment on column bookpost.books.declared_currency is 'ISO 4217, such as EUR.';
comment on column bookpost.books.created_at is 'Since when bookpost has known it.';
comment on column bookpost.books.declared_value is 'What it is insured for, in declared_currency (ISO 4217, such as EUR).';
comment on column bookpost.books.app_book_id is 'The app''s own id of this book; unique among one owner''s books.';

-- "My books, newest first": the list page.
create index books_owner_id_created_at_idx on bookpost.books (owner_id, created_at desc, id);
-- The operator's list of all books, newest first.
create index books_created_at_idx on bookpost.books (created_at desc, id);
-- "Those of the app's own books that bookpost knows": an app asks for a page of its ids.
create index books_app_book_id_idx on bookpost.books (app_book_id);

select bookpost_private.protect_table('bookpost.users');
select bookpost_private.protect_table('bookpost.books');

grant select on bookpost.users, bookpost.books to bookpost_member, bookpost_operator;
create policy member_sees_herself on bookpost.users for select to bookpost_member
  using (id = (select bookpost.current_user_id()));
create policy operator_sees_all on bookpost.users for select to bookpost_operator using (true);
create policy member_sees_her_own on bookpost.books for select to bookpost_member
  using (owner_id = (select bookpost.current_user_id()));
create policy operator_sees_all on bookpost.books for select to bookpost_operator using (true);
-- NOTE: no insert, update or delete for any API role: people write through functions.

-- Who asks decides, and not which function was passed on the way: within one that runs with its owner's rights current_user
-- is that owner, while the setting `role` still names what the session has become by SET ROLE, and session_user its login.
-- 'usage' asks for what is had without SET ROLE: the API's login (NOINHERIT) by itself has nothing.
create function bookpost_private.may_act_for_all() returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
  select pg_has_role(r.name, 'bookpost_operator', 'usage') or pg_has_role(r.name, 'bookpost_worker', 'usage')
  from (select case current_setting('role') when 'none' then session_user else current_setting('role')::name end) r (name);
end;

comment on function bookpost_private.may_act_for_all() is
  'Whether whoever asks may act for every owner: an operator, a worker, the owner of the schemas, a superuser.';

create function bookpost_private.may_act_for(owner uuid) returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(may_act_for.owner = bookpost.current_user_id(), false) or bookpost_private.may_act_for_all();
end;

comment on function bookpost_private.may_act_for(uuid) is
  'Whether whoever asks may act for this person: she herself, and who may act for all.';

-- Every function that people write through begins with one of the next two, before it takes any lock: so what is another's
-- cannot be told from what is not there, neither by an error nor by waiting.

create function bookpost_private.own_book(book uuid) returns bookpost.books
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_book bookpost.books;
begin
  select b.* into v_book from bookpost.books b where b.id = own_book.book;
  if not found or not bookpost_private.may_act_for(v_book.owner_id) then
    raise exception 'There is no book %.', own_book.book using errcode = 'BP404';
  end if;
  return v_book;
end;
$$;

comment on function bookpost_private.own_book(uuid) is
  'The book, for one who may act for its owner. Raises BP404 otherwise, whether there is such a book or not.';

create function bookpost_private.own_user(person uuid) returns bookpost.users
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id uuid := coalesce(own_user.person, bookpost.current_user_id());
  v_person bookpost.users;
begin
  if v_id is null then
    raise exception 'Nobody is named, and nobody is signed in.' using errcode = 'BP404';
  end if;
  select u.* into v_person from bookpost.users u where u.id = v_id;
  if not found or not bookpost_private.may_act_for(v_id) then
    raise exception 'There is no user %.', v_id using errcode = 'BP404';
  end if;
  return v_person;
end;
$$;

comment on function bookpost_private.own_user(uuid) is
  'The person, or where none is named the one who is signed in, for one who may act for her. Raises BP404 otherwise, whether there is such a person or not.';
