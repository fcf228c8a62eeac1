/** A test that proves something: where it is, and its title or that of its `describe`, as written there. */
export interface Proof {
  readonly file: string;
  readonly title: string;
}

/**
 * Something we say about ourselves, and what stands behind it: tests, or the
 * sentence that says why there are none. With both, the tests prove a part and
 * the sentence names the rest.
 */
export interface Claim {
  /** What happens; a sentence for the person who runs bookpost. */
  readonly must: string;
  readonly tests?: readonly Proof[];
  /** A tool that not every machine has: where it is missing, the tests are skipped by that name. */
  readonly needs?: string;
  /** What is not proven yet, and what would prove it. */
  readonly notProven?: string;
}

/** One way to break the code that a test is seen to notice: where it is written, and what is wrong, as written there. */
export interface SaboteurName {
  readonly file: string;
  readonly name: string;
}

/** A promise that holds whatever breaks. */
export interface Guarantee extends Claim {
  readonly id: `P${number}`;
  /** Those of the SQL's decisions, beside what saboteurs/saboteurs.ts breaks in programs and migrations. */
  readonly saboteurs?: readonly SaboteurName[];
}

/** Something that can break. */
export interface Fault extends Claim {
  readonly fault: string;
}

/** Faults of one kind. */
export interface Area {
  readonly area: string;
  readonly faults: readonly Fault[];
}

/** Tests of one file. */
export function inFile(file: string, ...titles: readonly string[]): Proof[] {
  return titles.map((title) => ({ file: `test/${file}.test.ts`, title }));
}

/** Saboteurs of one file. */
export function saboteursIn(file: string, ...names: readonly string[]): SaboteurName[] {
  return names.map((name) => ({ file: `test/${file}.ts`, name }));
}
