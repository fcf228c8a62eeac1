import type { Queryable } from "../../src/db/withTransaction.ts";

/** Table → digest of all its rows, for every table of ours and the queue's jobs, so that "nothing changed" can be checked. */
export async function tableDigests(
  db: Queryable,
  options: { readonly except?: readonly string[] } = {},
): Promise<Record<string, string>> {
  const { rows } = await db.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('bookpost', 'bookpost_private') and c.relkind in ('r', 'p') and not c.relispartition
     union all select 'graphile_worker.jobs'
     order by 1`,
  );
  const digests: Record<string, string> = {};
  for (const { name } of rows) {
    if (options.except?.includes(name)) continue;
    const { rows: found } = await db.query<{ digest: string }>(
      `select count(*) || ' ' || md5(coalesce(string_agg(t::text, e'\\n' order by t::text), '')) as digest from ${name} t`,
    );
    digests[name] = found[0]?.digest ?? "";
  }
  return digests;
}
