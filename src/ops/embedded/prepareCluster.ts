import { readFile } from "node:fs/promises";
import { login } from "./login.ts";
import type { Passwords } from "./passwords.ts";

const ROLES = new URL("../../../migrations/roles.sql", import.meta.url);

/**
 * Makes the logins and the database, as superuser; what is there already is
 * left or set anew, so a first start that was cut short is finished by the
 * next. Commits.
 */
export async function prepareCluster(adminUrl: string, passwords: Passwords): Promise<void> {
  const groups = await readFile(ROLES, "utf8");
  await login(adminUrl, async (client) => {
    await client.query("begin");
    await client.query(groups);
    const known = await client.query("select from pg_roles where rolname = 'bookpost'");
    if (known.rowCount === 0) await client.query("create role bookpost");
    await client.query(`
      alter role bookpost
        login nosuperuser nocreatedb nocreaterole password '${passwords.bookpost}';
      alter role bookpost_authenticator
        login noinherit nosuperuser password '${passwords.bookpost_authenticator}';
      grant bookpost_worker to bookpost with inherit true;
      grant bookpost_visitor, bookpost_member, bookpost_operator
        to bookpost_authenticator with inherit false, set true;
    `);
    await client.query("commit");

    // Outside the transaction: Postgres makes no database inside one.
    const made = await client.query("select from pg_database where datname = 'bookpost'");
    if (made.rowCount === 0) await client.query("create database bookpost owner bookpost");
    await client.query(`
      revoke connect, temporary on database bookpost from public;
      grant connect on database bookpost to bookpost_authenticator;
    `);
  });
}
