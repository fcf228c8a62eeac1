import { OBJECTS } from "./objects.ts";

/** What hangs off a table: indexes that no constraint owns, row-level security, policies, triggers. */
export const tableParts = `
  with ${OBJECTS}
  select o.*, 1 as place, i.indexrelid::regclass::text as detail, pg_get_indexdef(i.indexrelid) || ';' as text
  from objects o
  join pg_index i on i.indrelid = o.oid
  where o.class = 'pg_class'::regclass
    and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
  union all
  select o.*, 2, v.verb, format('alter table %s %s row level security;', o.name, v.verb)
  from objects o
  join pg_class c on c.oid = o.oid
  cross join lateral (values ('enable', c.relrowsecurity), ('force', c.relforcerowsecurity)) v (verb, is_set)
  where o.class = 'pg_class'::regclass and v.is_set
  union all
  select o.*, 3, p.polname, concat(
    'create policy ', quote_ident(p.polname), ' on ', o.name,
    case when not p.polpermissive then ' as restrictive' end,
    ' for ', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
    ' to ', (
      select string_agg(quote_ident(coalesce(r.rolname, 'public')), ', ' order by coalesce(r.rolname, 'public'))
      from unnest(p.polroles) u (id) left join pg_roles r on r.oid = u.id
    ),
    ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
    ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')',
    ';'
  )
  from objects o
  join pg_policy p on p.polrelid = o.oid
  where o.class = 'pg_class'::regclass
  union all
  select o.*, 4, g.tgname, pg_get_triggerdef(g.oid) || ';' ||
    case g.tgenabled when 'D' then ' -- disabled' when 'A' then ' -- always' when 'R' then ' -- on replicas' else '' end
  from objects o
  join pg_trigger g on g.tgrelid = o.oid and not g.tgisinternal
  where o.class = 'pg_class'::regclass`;
