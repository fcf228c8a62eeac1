/**
 * The lines that differ, as "12: - old" and "12: + new", numbered as in
 * the file each stands in. A longest common subsequence, after the equal
 * beginning and end are taken off: what remains of two dumps is short.
 */
export function lineDiff(from: string, to: string): string[] {
  const a = from.split("\n");
  const b = to.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA -= 1;
    endB -= 1;
  }
  const left = a.slice(start, endA);
  const right = b.slice(start, endB);

  // lengths[i][j]: how many lines left[i…] and right[j…] have in common.
  const lengths = Array.from({ length: left.length + 1 }, () => new Uint32Array(right.length + 1));
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = left.length - 1; i >= 0; i -= 1) {
    const row = lengths[i] as Uint32Array;
    for (let j = right.length - 1; j >= 0; j -= 1)
      row[j] = left[i] === right[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }

  const differences: string[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      i += 1;
      j += 1;
    } else if (i < left.length && (j === right.length || at(i + 1, j) >= at(i, j + 1))) {
      differences.push(`${start + i + 1}: - ${left[i]}`);
      i += 1;
    } else {
      differences.push(`${start + j + 1}: + ${right[j]}`);
      j += 1;
    }
  }
  return differences;
}
