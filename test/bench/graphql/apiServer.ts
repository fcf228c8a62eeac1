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
    apiDatabaseUrl: null,
  },
  databaseUrl: BENCH_API_URL,
});
process.on("disconnect", () => api.stop().finally(() => process.exit()));
process.send?.(api.url);
