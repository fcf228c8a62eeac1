import { readAccessConfig } from "../../../src/accessConfig.ts";
import { startApi } from "../../../src/graphql/server.ts";
import { Secret } from "../../../src/secret.ts";

/** The real API in a process of its own, with production's settings; tells its parent the address. */
const { BENCH_API_URL = "", BENCH_JWT_SECRET = "" } = process.env;

const api = await startApi({
  config: {
    host: "127.0.0.1",
    port: 0,
    isDevelopment: false,
    jwtSecret: new Secret(BENCH_JWT_SECRET),
    access: readAccessConfig({ TRUSTED_DOCUMENTS: "any" }, { hasSecret: true }),
    apiDatabaseUrl: null,
  },
  databaseUrl: BENCH_API_URL,
  // One caller asks as fast as it can, which is what the limits are against.
  rateLimits: { visitor: 1e9, member: 1e9, operator: 1e9, page: 1e9 },
});
process.on("disconnect", () => api.stop().finally(() => process.exit()));
process.send?.(api.url);
