import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { platform } from "node:os";
import { hasCode } from "../../src/ops/embedded/hasCode.ts";

// Synchronous throughout: the last chance to clean up is an exit handler, which cannot wait.

/** The pids of all that descend from `root` now, parents before children, without `root` itself. */
export function descendantsOf(root: number): number[] {
  const childrenOf = Map.groupBy(livingProcesses(), ({ parent }) => parent);
  const found: number[] = [];
  const queue = [root];
  for (const pid of queue)
    for (const child of childrenOf.get(pid) ?? []) {
      found.push(child.pid);
      queue.push(child.pid);
    }
  return found;
}

/** Sends `signal` to one process. @returns false when there is none any more. */
export function signalTo(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (hasCode(error, "ESRCH")) return false;
    throw error;
  }
}

/** Stops `root` and all that descend from it, until SIGCONT. The parent first, so that it starts no more. */
export function freezeTree(root: number): void {
  signalTo(root, "SIGSTOP");
  const frozen = new Set<number>();
  // It may have started one more before the signal reached it.
  for (let isNew = true; isNew; ) {
    isNew = false;
    for (const pid of descendantsOf(root)) {
      if (frozen.has(pid)) continue;
      signalTo(pid, "SIGSTOP");
      frozen.add(pid);
      isNew = true;
    }
  }
}

/** Lets go on what `freezeTree` stopped: the children first, so that none is missing when its parent looks. */
export function thawTree(root: number): void {
  for (const pid of descendantsOf(root).reverse()) signalTo(pid, "SIGCONT");
  signalTo(root, "SIGCONT");
}

/** Ends `root` and all that descend from it at once, as a power cut would. */
export function killTree(root: number): void {
  freezeTree(root);
  const children = descendantsOf(root);
  signalTo(root, "SIGKILL");
  for (const pid of children) signalTo(pid, "SIGKILL");
}

interface Relation {
  readonly pid: number;
  readonly parent: number;
}

function livingProcesses(): Relation[] {
  return platform() === "linux" ? fromProc() : fromPs();
}

function fromProc(): Relation[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    let stat: string;
    try {
      stat = readFileSync(`/proc/${name}/stat`, "utf8");
    } catch {
      // It ended between the two looks.
      return [];
    }
    // proc_pid_stat(5): the name, field 2, is in parentheses and may hold spaces; state is field 3, the parent field 4.
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? [] : [{ pid: Number(name), parent: Number(parent) }];
  });
}

function fromPs(): Relation[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  return lines
    .trim()
    .split("\n")
    .map((line) => {
      const [pid, parent] = line.trim().split(/\s+/).map(Number);
      return { pid: pid ?? 0, parent: parent ?? 0 };
    });
}
