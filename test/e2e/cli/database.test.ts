import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findDatabase } from "../../../src/cli/findDatabase.ts";
import { readConfig } from "../../../src/config.ts";
import { databaseUrl } from "../../helpers/databaseUrl.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { bookpost } from "./bookpost.ts";

const db = testDatabase();

test("url prints the address of the database in use, and nothing else", async () => {
  const { code, stdout, stderr } = await bookpost(["url"], { DATABASE_URL: db.url });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${db.url}\n`, stderr: "" });
});

test("migrate finds nothing to do on a database that is up to date", async () => {
  const { code, stdout } = await bookpost(["migrate", "--json"], { DATABASE_URL: db.url });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ applied: [] });
});

test("migrate refuses an --admin-url that is none, without showing it", async () => {
  const { code, stderr } = await bookpost(["migrate", "--admin-url", "admin:s3cret@host"], {
    DATABASE_URL: db.url,
  });
  expect(code).toBe(2);
  expect(stderr).toContain("--admin-url must be");
  expect(stderr).not.toContain("s3cret");
});

test("a Postgres that does not answer is told in one sentence, without its password", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const { code, stderr } = await bookpost(["list"], {
    DATABASE_URL: `postgres://bookpost:s3cret@127.0.0.1:${port}/bookpost`,
  });
  expect(stderr).toMatch(/^Postgres does not answer\..*DATABASE_URL.*\n$/);
  expect(stderr).not.toContain("s3cret");
  expect(code).toBe(1);
});

test("a database that was never migrated is told with the way out", async () => {
  const { code, stderr } = await bookpost(["list"], {
    DATABASE_URL: databaseUrl(db.url, "postgres"),
  });
  expect(stderr).toContain("npx bookpost migrate");
  expect(code).toBe(1);
});

test("a database that is not there is told as such", async () => {
  const { code, stderr } = await bookpost(["list"], {
    DATABASE_URL: databaseUrl(db.url, "never_made"),
  });
  expect(stderr).toContain('"never_made" does not exist');
  expect(code).toBe(1);
});

test("without DATABASE_URL and without a server of ours there is no database, and the way out is told", async () => {
  const folder = await mkdtemp(join(tmpdir(), "bookpost-empty-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await expect(findDatabase(readConfig({}), folder)).rejects.toMatchObject({
    code: "NO_DATABASE",
    exitCode: 1,
    message: expect.stringMatching(/npm start.*DATABASE_URL/),
  });
  expect(await readdir(folder)).toEqual([]);
});

test("a DATABASE_URL that is none is wrong usage", async () => {
  const { code, stderr } = await bookpost(["list"], { DATABASE_URL: "mysql://root:s3cret@x/y" });
  expect(stderr).toContain("DATABASE_URL must be");
  expect(stderr).not.toContain("s3cret");
  expect(code).toBe(2);
});
