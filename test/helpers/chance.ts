/** Seeded chance: the same draws for the same seed. */
export interface Chance {
  /** 0 up to, not including, 1. */
  next(): number;
  between(from: number, until: number): number;
  happens(probability: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
  /** By `weight`; the weights need not sum to 1. */
  pickWeighted<Item extends { readonly weight: number }>(items: readonly Item[]): Item;
  /** Bell-shaped, cut off at both ends. */
  around(mean: number, deviation: number, from: number, until: number): number;
  exponential(mean: number): number;
}

/** mulberry32. */
export function chanceFrom(seed: number): Chance {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const pick = <Item>(items: readonly Item[]): Item => {
    const item = items[Math.floor(next() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  };
  return {
    next,
    between: (from, until) => from + next() * (until - from),
    happens: (probability) => next() < probability,
    pick,
    pickWeighted(items) {
      let rest = next() * items.reduce((sum, { weight }) => sum + weight, 0);
      for (const item of items) {
        rest -= item.weight;
        if (rest < 0) return item;
      }
      return pick(items);
    },
    around(mean, deviation, from, until) {
      const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
      return Math.min(until, Math.max(from, mean + deviation * normal));
    },
    exponential: (mean) => -mean * Math.log(1 - next()),
  };
}
