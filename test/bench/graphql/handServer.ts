import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { jwtVerify } from "jose";
import { createPool } from "../../../src/db/pool.ts";
import { withTransaction } from "../../../src/db/withTransaction.ts";
import { STATEMENT_TIMEOUT_MS } from "../../../src/graphql/limits.ts";
import { HAND_SQL } from "./handSql.ts";

/**
 * What a person would write by hand in place of the API: a bare HTTP server, the
 * same check of the token, the same role and settings in a transaction, and one
 * statement that makes the whole answer. In a process of its own; tells its
 * parent the address.
 */
const { BENCH_API_URL = "", BENCH_JWT_SECRET = "" } = process.env;

const key = new TextEncoder().encode(BENCH_JWT_SECRET);
const pool = createPool(BENCH_API_URL, "api");

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "", "http://localhost");
  const text = HAND_SQL[url.pathname as keyof typeof HAND_SQL];
  if (text === undefined) return void response.writeHead(404).end();
  const token = request.headers.authorization?.slice("Bearer ".length) ?? "";
  const { payload } = await jwtVerify(token, key, {
    algorithms: ["HS256"],
    requiredClaims: ["exp", "sub", "role"],
  });
  const settings = {
    role: payload.role,
    "bookpost.user_id": payload.sub,
    statement_timeout: String(STATEMENT_TIMEOUT_MS.bookpost_member),
    timezone: "UTC",
  };
  const id = url.searchParams.get("id");
  const body = await withTransaction(pool, async (client) => {
    await client.query(
      "select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el",
      [JSON.stringify(Object.entries(settings))],
    );
    const { rows } = await client.query<{ answer: string }>({
      name: url.pathname,
      text,
      values: id === null ? [] : [id],
    });
    return Buffer.from(rows[0]?.answer ?? "");
  });
  response.writeHead(200, {
    "content-type": "application/json; charset=utf-8",
    "content-length": body.length,
  });
  response.end(body);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
server.listen(0, "127.0.0.1", () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on("disconnect", () => process.exit());
