/**
 * Finds the words that `docs/concepts/glossary.md` retires, in texts and, as parts of names, in code. A pattern also finds
 * other forms of its word.
 */
const phrases = [
  /\b(un)?planned failovers?\b/gi,
  /\bfail(s|ed|ing)? over unplanned\b/gi,
  /\bhand(s|ed|ing)?[- ]over\b/gi,
  /\b(catch(es|ing)?|caught)[- ]up\b/gi,
  /\b(newest|latest|copied|complete) points?\b/gi,
  /--point\b/g,
  /\bqdrant-dr points\b/g,
  /--(un)?planned\b/g,
  /failover [^\n`]*--(plan|drill|abort|divergence)\b/g,
  /\bembedded estates?\b/gi,
];

const names = [
  /\b\w*(handOver|handedOver|handover|HandOver|HandedOver)\w*\b/g,
  /\b\w*[uU]nplanned\w*\b/g,
  /\b\w*([cC]atchUp|[cC]aughtUp)\w*\b/g,
  /\b(capture|copy|verify|restore|commit|committed|judge|newest|latest|base|found|complete|restorable)Points?\b/gi,
  /\bPOINT_(NOT_FOUND|INCOMPLETE)\b/g,
];

/** @returns each place in a text for people where a retired word stands. */
export function retiredWordsIn(text: string): string[] {
  return found(phrases, text);
}

/** @returns each place in code, comments included, where a retired word stands. */
export function retiredWordsInCode(code: string): string[] {
  return found([...phrases, ...names], code);
}

function found(patterns: readonly RegExp[], text: string): string[] {
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([word]) => word));
}
