import { subscribe } from "node:diagnostics_channel";

// Loaded with `--import` before anything else: makes a thing go wrong inside this process, MISHAP, that no code of ours
// does. When it gets SIGWINCH, which nobody else listens to: "block", "throw", "reject". When it asks a carrier about the
// number MISHAP_NUMBER: "fill".

/** Longer than a worker may be silent (bookpost_private.dead_after), so that it is taken for dead. */
const BLOCKED_MS = 10_000;

function block(): void {
  const end = performance.now() + BLOCKED_MS;
  while (performance.now() < end);
  console.log("The mishap is over.");
}

const MISHAPS: Readonly<Record<string, () => void>> = {
  block,
  throw: () =>
    setTimeout(() => {
      throw new Error("a mishap was thrown");
    }),
  reject: () => void Promise.reject(new Error("a mishap was rejected")),
};

/** Until the memory that Node was given is full, and a little at a time, so that it is the heap that is full. */
function fill(): never {
  const kept: number[][] = [];
  for (;;) kept.push(Array.from({ length: 10_000 }, (_, i) => i));
}

const { MISHAP = "", MISHAP_NUMBER = "" } = process.env;
if (MISHAP === "fill")
  subscribe("undici:request:create", (message) => {
    const { request } = message as { request: { path: string; body?: unknown } };
    if (`${request.path} ${String(request.body)}`.includes(MISHAP_NUMBER)) fill();
  });
else {
  const mishap = MISHAPS[MISHAP];
  if (mishap === undefined) throw new Error(`there is no MISHAP "${MISHAP}"`);
  process.on("SIGWINCH", mishap);
}
