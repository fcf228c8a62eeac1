import { OBJECTS } from "./objects.ts";

/** The `create` statement of each object. */
export const definitions = `
  with ${OBJECTS},
  columns as (
    select a.attrelid as relation, a.attnum::integer as position,
      concat_ws(' ',
        quote_ident(a.attname),
        format_type(a.atttypid, a.atttypmod),
        case when a.attcollation <> t.typcollation then 'collate ' || a.attcollation::regcollation end,
        case
          when a.attidentity <> '' then
            'generated ' || case a.attidentity when 'a' then 'always' else 'by default' end || ' as identity'
          when a.attgenerated <> '' then
            'generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ')' || case a.attgenerated when 's' then ' stored' else '' end
          else 'default ' || pg_get_expr(d.adbin, d.adrelid)
        end,
        case when a.attnotnull then 'not null' end
      ) as text
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped
  ),
  -- Not null is told with its column: Postgres 18 has it here too, as 'n', and the others have not.
  rules as (
    select k.conrelid as relation, k.contypid as domain,
      position(k.contype in 'pufcx') as position, k.conname,
      format('constraint %I %s', k.conname, pg_get_constraintdef(k.oid)) as text
    from pg_constraint k
    where k.contype in ('p', 'u', 'f', 'c', 'x')
  )
  select o.*, 0 as place, '' as detail, case
    when o.kind = 0 then format('create schema %s;', o.name)
    when o.kind = 2 then format(E'create %stable %s (\\n%s\\n)%s%s;',
      case c.relpersistence when 'u' then 'unlogged ' else '' end,
      o.name,
      (
        select string_agg('  ' || l.text, E',\\n' order by l.is_rule, l.position, l.name)
        from (
          select false as is_rule, k.position, null::name as name, k.text from columns k where k.relation = o.oid
          union all
          select true, r.position, r.conname, r.text from rules r where r.relation = o.oid
        ) l
      ),
      ' partition by ' || pg_get_partkeydef(c.oid),
      ' with (' || array_to_string(c.reloptions, ', ') || ')'
    )
    when o.kind = 3 then format(E'create %s %s%s as\\n%s', o.noun, o.name,
      ' with (' || array_to_string(c.reloptions, ', ') || ')', pg_get_viewdef(o.oid, true)
    )
    when o.kind = 4 then rtrim(pg_get_functiondef(o.oid), E'\\n') || ';'
    when t.typtype = 'e' then format('create type %s as enum (%s);', o.name,
      (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = o.oid)
    )
    when t.typtype = 'd' then concat('create domain ', o.name, ' as ', format_type(t.typbasetype, t.typtypmod),
      ' default ' || t.typdefault,
      case when t.typnotnull then ' not null' end,
      (select string_agg(E'\\n  ' || r.text, '' order by r.conname) from rules r where r.domain = o.oid),
      ';'
    )
    else format(E'create type %s as (\\n%s\\n);', o.name,
      (select string_agg('  ' || k.text, E',\\n' order by k.position) from columns k where k.relation = t.typrelid)
    )
  end as text
  from objects o
  left join pg_class c on o.class = 'pg_class'::regclass and c.oid = o.oid
  left join pg_type t on o.class = 'pg_type'::regclass and t.oid = o.oid`;
