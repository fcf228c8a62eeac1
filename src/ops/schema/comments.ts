import { OBJECTS } from "./objects.ts";

/** Comments on the objects, then on what hangs off them. */
export const comments = `
  with ${OBJECTS},
  parts as (
    select 'pg_constraint'::regclass as class, k.oid, k.conrelid as relation, 'constraint' as noun, k.conname as name from pg_constraint k
    union all
    select 'pg_policy'::regclass, p.oid, p.polrelid, 'policy', p.polname from pg_policy p
    union all
    select 'pg_trigger'::regclass, g.oid, g.tgrelid, 'trigger', g.tgname from pg_trigger g
  )
  select o.*, 5 as place, '' as detail, format('comment on %s %s is %L;', o.noun, o.name, d.description) as text
  from objects o
  join pg_description d on d.classoid = o.class and d.objoid = o.oid and d.objsubid = 0
  union all
  select o.*, 6, to_char(a.attnum, '0000'), format('comment on column %s.%I is %L;', o.name, a.attname, d.description)
  from objects o
  left join pg_type t on o.class = 'pg_type'::regclass and t.oid = o.oid
  join pg_attribute a on a.attrelid = coalesce(t.typrelid, o.oid) and a.attnum > 0
  join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = a.attrelid and d.objsubid = a.attnum
  where o.kind in (1, 2, 3)
  union all
  select o.*, 6, p.noun || p.name, format('comment on %s %I on %s is %L;', p.noun, p.name, o.name, d.description)
  from objects o
  join parts p on p.relation = o.oid
  join pg_description d on d.classoid = p.class and d.objoid = p.oid
  where o.kind = 2
  union all
  select o.*, 6, i.indexrelid::regclass::text, format('comment on index %s is %L;', i.indexrelid::regclass, d.description)
  from objects o
  join pg_index i on i.indrelid = o.oid
  join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = i.indexrelid
  where o.class = 'pg_class'::regclass`;
