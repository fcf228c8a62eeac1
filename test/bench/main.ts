import { BookpostError, UsageError } from "../../src/errors.ts";

// `npm run bench -- [name] [options]`. Figures here are ratios of two runs on one machine, since machines differ and
// are noisy; the tests assert no time at all.

interface Bench {
  /** What it answers. */
  readonly question: string;
  /** Prints its figures; with `--json` one JSON object on one line. */
  readonly run: (args: readonly string[]) => Promise<void>;
}

const BENCHES: Readonly<Record<string, Bench>> = {
  lookups: {
    question: "what does the database cost a lookup?",
    run: async (args) => (await import("./lookups.ts")).benchLookups(args),
  },
  isolation: {
    question: "what do a hanging, a failing and a throttling carrier cost the healthy ones?",
    run: async (args) => (await import("./isolation.ts")).benchIsolation(args),
  },
  graphql: {
    question: "how fast is the API beside SQL by hand, and while a hundred thousand books go out?",
    run: async (args) => (await import("./graphql.ts")).benchGraphql(args),
  },
  polling: {
    question: "how soon does the polling policy know what has happened, and for how many calls?",
    run: async (args) => (await import("./polling.ts")).benchPolling(args),
  },
};

async function main(args: readonly string[]): Promise<void> {
  const [first = "", ...rest] = args;
  if (first === "--help" || first === "help") return list();
  if (Object.hasOwn(BENCHES, first)) return BENCHES[first]?.run(rest);
  // All of them, so nothing but --json can fit each one.
  const stray = args.find((arg) => arg !== "--json");
  if (stray !== undefined)
    throw new UsageError(
      "NO_SUCH_BENCH",
      stray.startsWith("-")
        ? `${stray} needs the name of its bench before it: ${Object.keys(BENCHES).join(", ")}.`
        : `There is no bench "${stray}"; there are ${Object.keys(BENCHES).join(", ")}.`,
    );
  for (const [name, { question, run }] of Object.entries(BENCHES)) {
    if (!args.includes("--json")) console.log(`\n${name}: ${question}\n`);
    await run(args);
  }
}

function list(): void {
  console.log(
    "npm run bench -- [name] [options]; without a name all of them, --json for programs\n",
  );
  for (const [name, { question }] of Object.entries(BENCHES))
    console.log(`  ${name.padEnd(12)}${question}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof BookpostError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
