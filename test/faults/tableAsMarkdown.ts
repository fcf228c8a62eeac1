import type { Claim, Fault } from "./claim.ts";
import { guarantees } from "./guarantees.ts";
import { saboteursOf } from "./saboteurs/saboteursOf.ts";
import { areas } from "./table.ts";

const INTRODUCTION = `# What can break, and what then happens

For whoever runs bookpost. First what holds whatever breaks, then what can break, one table for each kind, then what we say
and have not proven. Each line of the tables names the tests behind it; \`npm test\` runs the quick ones, \`npm run test:faults\`
runs all of them, with real crashes, and prints this list with what became of each line.

<!-- Printed from test/faults/table.ts by: node test/faults/printTable.ts --write -->
`;

/** The whole of docs/failures.md. */
export function tableAsMarkdown(): string {
  const sections = [
    INTRODUCTION,
    "## What we promise\n",
    lines(
      ["", "Promise", "Tests"],
      guarantees
        .filter(isTested)
        .map((claim) => [claim.id, claim.must + partly(claim), linksOf(claim)]),
    ),
    "## How we know that these tests notice\n",
    "Each promise is broken on purpose, in a copy of the project or in a database of its own, and each time a test goes red.\n",
    lines(
      ["", "Broken on purpose"],
      guarantees.filter(isTested).map((claim) => [
        claim.id,
        saboteursOf(claim)
          .map(({ file, name }) => `[${name}](../${file})`)
          .join("; "),
      ]),
    ),
    ...areas.flatMap(({ area, faults }) => areaSection(area, faults.filter(isTested))),
    "## Not proven yet\n",
    "What should happen, and no test shows. A line that stands above too is proven there but for this.\n",
    lines(
      ["", "What should happen", "What is missing"],
      [
        ...guarantees.filter(isOpen).map((claim) => [claim.id, claim.must, claim.notProven ?? ""]),
        ...areas.flatMap(({ faults }) =>
          faults.filter(isOpen).map((claim) => [claim.fault, claim.must, claim.notProven ?? ""]),
        ),
      ],
    ),
  ];
  return sections.join("\n");
}

function areaSection(area: string, faults: readonly Fault[]): string[] {
  if (faults.length === 0) return [];
  return [
    `## ${area}\n`,
    lines(
      ["What breaks", "What then happens", "Tests"],
      faults.map((claim) => [claim.fault, claim.must + partly(claim), linksOf(claim)]),
    ),
  ];
}

const isTested = ({ tests = [] }: Claim) => tests.length > 0;
const isOpen = ({ notProven }: Claim) => notProven !== undefined;

/** Says where the tests are only a part, so that no line reads as more than it is. */
function partly({ notProven, needs }: Claim): string {
  const notes = [
    ...(notProven === undefined ? [] : ["proven in part, see below"]),
    ...(needs === undefined ? [] : [`tested where there is ${needs}`]),
  ];
  return notes.length === 0 ? "" : ` *(${notes.join("; ")})*`;
}

/** Each file once, by its name. */
function linksOf({ tests = [] }: Claim): string {
  const files = [...new Set(tests.map(({ file }) => file))];
  return files
    .map((file) => `[${file.replace(/^.*\//, "").replace(/\.test\.ts$/, "")}](../${file})`)
    .join(", ");
}

function lines(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return `${[line(titles), line(titles.map(() => "---")), ...rows.map(line)].join("\n")}\n`;
}
