/**
 * The objects that are printed, as a common table expression; every other
 * statement here hangs something on them. `kind` and `object` give the order,
 * `noun` and `name` are how SQL speaks of it, `acl` is null where nobody but
 * the owner may do anything.
 *
 * Partitions are left out: they come and go with the months. So are the types
 * that tables and views bring along, and what belongs to an extension.
 */
export const OBJECTS = `objects as (
  select o.*
  from (
    select 'pg_namespace'::regclass as class, n.oid, n.oid as schema_id, 0 as kind, n.nspname::text as object,
      'schema' as noun, quote_ident(n.nspname) as name, n.nspacl as acl, n.nspowner as owner
    from pg_namespace n
    union all
    select 'pg_type'::regclass, t.oid, t.typnamespace, 1, t.typname,
      case t.typtype when 'd' then 'domain' else 'type' end, t.oid::regtype::text, t.typacl, t.typowner
    from pg_type t
    left join pg_class c on c.oid = t.typrelid
    where t.typtype in ('e', 'd') or c.relkind = 'c'
    union all
    select 'pg_class'::regclass, c.oid, c.relnamespace, 2, c.relname, 'table', c.oid::regclass::text, c.relacl, c.relowner
    from pg_class c
    where c.relkind in ('r', 'p') and not c.relispartition
    union all
    select 'pg_class'::regclass, c.oid, c.relnamespace, 3, c.relname,
      case c.relkind when 'm' then 'materialized view' else 'view' end, c.oid::regclass::text, c.relacl, c.relowner
    from pg_class c
    where c.relkind in ('v', 'm')
    union all
    -- A function without a list of its own is open to everyone: that must be seen.
    select 'pg_proc'::regclass, p.oid, p.pronamespace, 4, p.oid::regprocedure::text,
      case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure::text,
      coalesce(p.proacl, acldefault('f', p.proowner)), p.proowner
    from pg_proc p
    where p.prokind <> 'a'
  ) o
  where o.schema_id in (select n.oid from pg_namespace n where n.nspname in ('bookpost', 'bookpost_private', 'bookpost_ops'))
    and not exists (
      select from pg_depend d where d.classid = o.class and d.objid = o.oid and d.deptype = 'e'
    )
)`;
