import { OBJECTS } from "./objects.ts";

/** Who may do what, one line for each object and role; the owner, who may do everything, is left out. */
export const grants = `
  with ${OBJECTS},
  rights as (
    select o.oid, null::name as column_name, o.acl from objects o
    union all
    select o.oid, a.attname, a.attacl
    from objects o
    join pg_attribute a on a.attrelid = o.oid and a.attnum > 0
    where o.class = 'pg_class'::regclass
  ),
  granted as (
    select r.oid, coalesce(g.rolname, 'public') as role, e.is_grantable,
      string_agg(
        lower(e.privilege_type) || coalesce(' (' || quote_ident(r.column_name) || ')', ''), ', '
        order by e.privilege_type, r.column_name
      ) as privileges
    from rights r
    join objects o on o.oid = r.oid
    cross join lateral aclexplode(r.acl) e
    left join pg_roles g on g.oid = e.grantee
    where e.grantee <> o.owner
    group by r.oid, coalesce(g.rolname, 'public'), e.is_grantable
  )
  select o.*, 7 as place, format('%s %s', g.role, g.is_grantable) as detail,
    format('grant %s on %s to %I%s;', g.privileges,
      -- Tables and views go without their noun.
      case when o.kind in (2, 3) then o.name else case o.noun when 'domain' then 'type' else o.noun end || ' ' || o.name end,
      g.role, case when g.is_grantable then ' with grant option' else '' end) as text
  from objects o
  join granted g on g.oid = o.oid`;
