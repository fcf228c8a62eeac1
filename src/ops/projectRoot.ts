import { join } from "node:path";

/** Where bookpost lies: `.env`, `.postgres/`, `tasks/` and `crontab` are found from here, whatever the current folder. */
export const PROJECT_ROOT = join(import.meta.dirname, "../..");

/** The embedded server's folder. */
export const EMBEDDED_ROOT = join(PROJECT_ROOT, ".postgres");
