import { parseArgs } from "node:util";
import { startSandbox } from "./server.ts";

/** `node src/sandbox/main.ts --port 9000 [--log requests.jsonl]`: the sandbox by itself, until it is told to stop. */
async function main(): Promise<number> {
  let port: number;
  let log: string | undefined;
  try {
    const { values } = parseArgs({
      options: { port: { type: "string", default: "9000" }, log: { type: "string" } },
    });
    port = Number(values.port);
    log = values.log;
    if (!/^\d{1,5}$/.test(values.port) || port > 65_535)
      throw new Error(`--port must be a whole number from 0 to 65535; "${values.port}" is not.`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
  try {
    const sandbox = await startSandbox({ port, ...(log === undefined ? {} : { logFile: log }) });
    // Lines that can go into .env as they are.
    for (const api of sandbox.apis) {
      console.log(`${api.toUpperCase()}_BASE_URL=${sandbox.url(api)}`);
      for (const [suffix, value] of Object.entries(sandbox.credentials(api)))
        console.log(`${api.toUpperCase()}_${suffix}=${value}`);
    }
    const { promise: stopped, resolve: stop } = Promise.withResolvers<unknown>();
    process.once("SIGINT", stop).once("SIGTERM", stop);
    await stopped;
    await sandbox.close();
    return 0;
  } catch (error) {
    console.error(`The sandbox could not start on port ${port}: ${error}. Choose another --port.`);
    return 1;
  }
}

process.exitCode = await main();
