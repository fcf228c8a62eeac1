import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cloneProject } from "../../helpers/cloneProject.ts";

/** A change to a file of the project: this text, which must occur exactly once, becomes that. */
export interface FileEdit {
  /** As from the project's folder. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** What a test run needs of the project beside what the product does. */
const FOR_TESTS = ["test", "docs", "README.md", "vitest.config.ts", "tsconfig.json"];

/** A copy of the project, tests included, that may be broken. */
export interface BrokenProject {
  readonly root: string;
  /**
   * Makes these edits; migrations get the hashes that go with them.
   * @returns what undoes them
   * @throws Error where a text is not there exactly once: a saboteur that changes nothing proves nothing
   */
  break(edits: readonly FileEdit[]): () => void;
  /** Removes it. */
  remove(): void;
}

/** Copies the project as it lies here. */
export function copyToBreak(): BrokenProject {
  const root = cloneProject(FOR_TESTS);
  return {
    root,
    break(edits) {
      const before = new Map<string, string>();
      for (const edit of edits) {
        const path = join(root, edit.file);
        const source = readFileSync(path, "utf8");
        if (!before.has(path)) before.set(path, source);
        writeFileSync(path, edited(source, edit));
      }
      const rehash = () => {
        if (edits.some(({ file }) => file.startsWith("migrations/committed/")))
          execFileSync(process.execPath, [join(root, "src/ops/rehashMigrations.ts")]);
      };
      rehash();
      return () => {
        for (const [path, source] of before) writeFileSync(path, source);
        rehash();
      };
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/**
 * The text with the edit made.
 * @throws Error where what it replaces is not there exactly once
 */
export function edited(source: string, { file, from, to }: FileEdit): string {
  const parts = source.split(from);
  if (parts.length !== 2)
    throw new Error(`${file} has this ${parts.length - 1} times, not once: ${from}`);
  return parts.join(to);
}
