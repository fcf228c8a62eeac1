import { chmod, stat } from "node:fs/promises";
import { BookpostError } from "../../errors.ts";
import { accountId } from "./accountId.ts";
import { hasCode } from "./hasCode.ts";
import { type Runner, runAs } from "./runAs.ts";
import { wrongOwner } from "./wrongOwner.ts";

/** Postgres refuses to be root. Inside a user namespace of its own root is seen as nobody, and the files stay root's. */
const NAMESPACE = ["unshare", "--user", "--map-user=65534", "--map-group=65534"];

/**
 * Chooses as whom Postgres runs on `home`: ourselves; for root a user
 * namespace, else the `postgres` user if the path lets it in.
 * @throws BookpostError WRONG_OWNER when the files are someone else's, NO_RUNNER when root finds neither.
 */
export async function chooseRunner(
  home: string,
  dataDirectory: string,
  postgres: string,
): Promise<Runner> {
  // Never absent: there is none on Windows only, which has no embedded Postgres.
  const me = process.getuid?.() ?? 0;
  const data = await stat(dataDirectory).catch((error) => {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  });
  if (me !== 0) {
    if (data !== null && data.uid !== me) throw await wrongOwner(home, data.uid);
    return { prefix: [] };
  }

  if (data !== null && data.uid !== 0) return { prefix: [], uid: data.uid, gid: data.gid };
  const inNamespace = { prefix: NAMESPACE };
  if ((await runAs(inNamespace, postgres, ["--version"])).code === 0) return inNamespace;
  const asPostgres = data === null ? await findPostgresUser() : null;
  if (asPostgres !== null) {
    // It must pass through our folder; what is secret in there has its own mode.
    await chmod(home, 0o711);
    const probe = ["-c", 'cd "$0" && exec "$1" --version', home, postgres];
    if ((await runAs(asPostgres, "/bin/sh", probe)).code === 0) return asPostgres;
  }
  throw new BookpostError(
    "NO_RUNNER",
    `Postgres refuses to run as root, and this machine offers neither a user namespace nor a "postgres" user that may enter ${home}: start bookpost as an ordinary user, or set DATABASE_URL.`,
  );
}

async function findPostgresUser(): Promise<Runner | null> {
  const [uid, gid] = await Promise.all([accountId("-u", "postgres"), accountId("-g", "postgres")]);
  return uid && gid ? { prefix: [], uid: Number(uid), gid: Number(gid) } : null;
}
