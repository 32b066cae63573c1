/** @typedef {{ from: string, below: string }} Interval from is in the range, below is not */

/**
 * @param {string} version
 * @returns {[number, number, number] | undefined}
 */
function parse(version) {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?(.*)$/.exec(version.trim());
  if (!match) return undefined;
  // A pre-release is older than its release, and nothing here was proven with one.
  if (match[4]?.startsWith("-")) return undefined;
  return [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

/**
 * @param {[number, number, number]} left
 * @param {[number, number, number]} right
 */
function compare(left, right) {
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/**
 * @param {string} version
 * @param {readonly Interval[]} range
 */
export function fits(version, range) {
  const seen = parse(version);
  if (!seen) return false;
  return range.some(({ from, below }) => {
    const low = parse(from);
    const high = parse(below);
    return low !== undefined && high !== undefined && compare(seen, low) >= 0 && compare(seen, high) < 0;
  });
}
