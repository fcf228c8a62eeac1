import { join } from "node:path";

import { type Config, loadEnvFile, readConfig } from "../config.ts";
import { type Connection, withConnection } from "../db/withConnection.ts";
import { findDatabase } from "./findDatabase.ts";
import { createPrinter, type Printer } from "./printer.ts";

/** Where package.json, .env and .postgres are. */
export const PROJECT = join(import.meta.dirname, "../..");

/** What every command is given. */
export interface CliContext extends Printer {
  /** The environment and .env, read when first asked for. @throws UsageError */
  config(): Config;
  /** Gives `work` one connection to the database in use, and closes it. Commits nothing by itself. */
  withDatabase<T>(work: (client: Connection) => Promise<T>): Promise<T>;
  /** The command did its work and the answer is no: exit code 1. */
  fail(): void;
  exitCode(): 0 | 1;
}

export function createContext(options: { readonly isJson: boolean }): CliContext {
  let config: Config | undefined;
  let exitCode: 0 | 1 = 0;

  const context: CliContext = {
    ...createPrinter(options),
    config() {
      if (config === undefined) {
        loadEnvFile(PROJECT);
        config = readConfig();
      }
      return config;
    },
    async withDatabase(work) {
      const { url } = await findDatabase(context.config(), PROJECT);
      return withConnection(url, work);
    },
    fail() {
      exitCode = 1;
    },
    exitCode: () => exitCode,
  };
  return context;
}
