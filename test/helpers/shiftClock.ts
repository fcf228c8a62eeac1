// Loaded with `--import` before anything else: shifts this process's wall clock by CLOCK_SHIFT_MS milliseconds,
// as on a host whose clock is wrong. Timers and performance.now(), which no clock setting moves, stay as they are.

const shiftMs = Number(process.env.CLOCK_SHIFT_MS);
if (!Number.isFinite(shiftMs))
  throw new Error(`CLOCK_SHIFT_MS must be milliseconds; "${process.env.CLOCK_SHIFT_MS}" is not.`);

const realNow = Date.now;
Date.now = () => realNow() + shiftMs;

globalThis.Date = new Proxy(Date, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget),
  apply: (target) => new target(Date.now()).toString(),
});
Date.prototype.constructor = Date;
