import { parseArgs } from "node:util";
import { runKills } from "./run.ts";

const USAGE = "Usage: npm run test:kills -- [--points 1000] [--seed 1]";

const { values } = parseArgs({
  options: {
    points: { type: "string", default: "1000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const points = Number(values.points);
const seed = Number(values.seed);
if (!Number.isInteger(points) || points < 1 || !Number.isInteger(seed)) {
  console.error(USAGE);
  process.exit(2);
}

console.log(`${points} points, seed ${seed}`);
const startedAt = performance.now();
const report = await runKills({
  points,
  seed,
  onProgress(done) {
    if (done % 25 === 0)
      console.log(`${done} of ${points}, ${Math.round((performance.now() - startedAt) / 1_000)} s`);
  },
});
for (const [what, count] of Object.entries(report.struck).sort()) console.log(`${count}\t${what}`);
console.log(
  `kill -9: ${report.realKills}; parcels ${report.parcels} (${report.letGoOn} let go on by hand), lookups ${report.lookups} (${report.interrupted} interrupted), ` +
    `status changes ${report.statusChanges}, notifications ${report.notifications}, ` +
    `messages ${report.messages} (${report.arrivedTwice} arrived twice)`,
);
for (const [what, count] of Object.entries(report.ends).sort()) console.log(`${count}\t${what}`);
let isBroken = false;
for (const [what, offenders] of Object.entries(report.offences)) {
  console.log(`${offenders.length}\t${what}`);
  if (offenders.length === 0) continue;
  isBroken = true;
  for (const offender of offenders.slice(0, 5)) console.log(`\t${JSON.stringify(offender)}`);
}
process.exit(isBroken ? 1 : 0);
