// Plain JavaScript that an old Node reads too: it exists to say what such a Node lacks.
import { existsSync, readFileSync } from "node:fs";
import module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** One sentence with the way out when bookpost cannot run here; null when it can. */
function findObstacle() {
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const isMissing = (name) => !existsSync(join(root, "node_modules", name));
  if (Object.keys(dependencies).some(isMissing))
    return `bookpost's packages are not all installed: run npm install in ${root} first.`;
  if (process.features.typescript) return null;
  const here = `this is Node ${process.versions.node}, which does not run TypeScript by itself`;
  if (existsSync(join(root, "node_modules/.bin/node")))
    return `bookpost needs Node 22.18 or later, and ${here}: start it through npm (npm start, npm run demo, npx bookpost …), which uses the Node 24 that npm install put into node_modules/.bin.`;
  const fetchIt = existsSync(join(root, "node_modules/node"))
    ? "npm rebuild --ignore-scripts=false"
    : "npm install --include=optional";
  return `bookpost needs Node 22.18 or later, and ${here}: install Node 24, or let npm bring it with: ${fetchIt}`;
}

/**
 * Lets Node keep what it has compiled, types stripped, for the next start: a command takes half as long. Beside the
 * packages, whose folder is as trusted as they are, not in the system's temporary one, where others could put code
 * first. A folder that cannot be written only costs the time.
 */
function keepCompiledCode() {
  // NODE_COMPILE_CACHE, where somebody sets it, has been obeyed by Node already.
  module.enableCompileCache?.(join(root, "node_modules/.cache/bookpost"));
}

/** Imports one of our .ts files and ends the process with the exit code that `run` makes of it. */
export function launch(path, run) {
  const obstacle = findObstacle();
  if (obstacle !== null) {
    console.error(obstacle);
    process.exit(1);
  }
  keepCompiledCode();
  import(path)
    .then(run)
    .catch((error) => {
      // Ours have an exit code and a sentence for people; anything else is a bug.
      console.error(error.exitCode ? error.message : error.stack);
      return error.exitCode || 1;
    })
    .then((code) => process.exit(code));
}
