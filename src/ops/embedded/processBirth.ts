import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { platform } from "node:os";
import { promisify } from "node:util";

/**
 * When process `pid` was started, as an opaque word; null when no such process
 * runs (one that is dead and merely not yet collected by its parent does not
 * run). A pid together with its birth names a process for good; a pid alone is
 * handed to someone else sooner or later.
 */
export function processBirth(pid: number): Promise<string | null> {
  return platform() === "linux" ? birthFromProc(pid) : birthFromPs(pid);
}

async function birthFromProc(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  // proc_pid_stat(5): the name, field 2, is in parentheses and may hold spaces; state is field 3, starttime field 22.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return "ZXx".includes(fields[0] ?? "X") ? null : (fields[19] ?? null);
}

async function birthFromPs(pid: number): Promise<string | null> {
  const args = ["-o", "stat=,lstart=", "-p", String(pid)];
  const line = await promisify(execFile)("ps", args, { env: { ...process.env, LC_ALL: "C" } }).then(
    ({ stdout }) => stdout.trim(),
    () => "",
  );
  const [state, ...started] = line.split(/\s+/);
  return !state || state.startsWith("Z") ? null : started.join("").replaceAll(/\W/g, "");
}
