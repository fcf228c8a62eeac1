-- The roles of bookpost. Roles belong to the whole server, not to one database,
-- so they are made here and not in a migration; safe to run any number of times,
-- by a superuser or by a role that may create roles.
--
--   bookpost_visitor        someone not signed in            (API)
--   bookpost_member         someone signed in: her own books (API)
--   bookpost_operator       sees every owner's books         (API, people)
--   bookpost_worker         may run the worker's functions and pass row-level security
--   bookpost_authenticator  the API's login; becomes one of the first three for each request,
--                           and by itself (NOINHERIT) may do nothing at all
--
-- The login of DATABASE_URL owns the schemas and is made a member of
-- bookpost_worker by `bookpost migrate`. No role here has a password: giving
-- bookpost_authenticator one is the administrator's act.
do $$
declare
  v_role text;
  v_setting text;
  v_membership record;
begin
  foreach v_role in array array[
    'bookpost_visitor', 'bookpost_member', 'bookpost_operator', 'bookpost_worker', 'bookpost_authenticator'
  ] loop
    if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
      begin
        execute format('create role %I nologin noinherit', v_role);
      exception
        -- Another migrator, in another database of this server, was quicker.
        when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;

  foreach v_role in array array['bookpost_visitor', 'bookpost_member', 'bookpost_operator'] loop
    -- Asked first, because granting a membership again needs the same rights as granting it.
    if not exists (
      select from pg_catalog.pg_auth_members m
      where m.roleid = v_role::regrole and m.member = 'bookpost_authenticator'::regrole
    ) then
      execute format('grant %I to bookpost_authenticator', v_role);
    end if;
  end loop;

  -- An outer bound, whoever logs in with it and whatever that program forgets; the API itself sets less for each request.
  -- It must stand on the login: SET ROLE does not load the settings of the role that one becomes.
  foreach v_setting in array array['statement_timeout', 'idle_in_transaction_session_timeout'] loop
    -- What an administrator has set stays.
    if not exists (
      select from pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c(setting)
      where s.setrole = 'bookpost_authenticator'::regrole and s.setdatabase = 0 and starts_with(c.setting, v_setting || '=')
    ) then
      execute format('alter role bookpost_authenticator set %I = %L', v_setting, '15s');
    end if;
  end loop;
end;
$$;
