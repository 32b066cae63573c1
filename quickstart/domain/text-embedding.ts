/**
 * A local embedding that needs no model: feature hashing of words, pairs of words and parts of identifiers. Texts that
 * share words are near each other, which is all a practised disaster needs of its vectors.
 */

/** Length of every vector that `embed` answers. */
export const embeddingDimensions = 128;

/** A pair of words says less than a word: most pairs of a text come once, and would drown the words. */
const pairWeight = 0.5;
/** Words of one or two letters say next to nothing about a text. */
const shortWeight = 0.25;
const shortLength = 2;

const hashSeed = 0x811c9dc5;
const hashPrime = 0x01000193;

/** Features of a text by their hash: how often each comes, and what one is worth. */
type Features = Map<number, { count: number; readonly weight: number }>;

/**
 * A vector of length 1 in float32 numbers; the same text has the same vector on every machine. A text without any word
 * is placed by its characters.
 */
export function embed(text: string): number[] {
  const sums = new Float64Array(embeddingDimensions);
  for (const [hash, { count, weight }] of featuresOf(text)) {
    const mixed = mix(hash);
    const place = mixed % embeddingDimensions;
    // The sign makes collisions of two features cancel out on average, rather than add up.
    const sign = (mixed & 0x8000_0000) === 0 ? 1 : -1;
    sums[place] = (sums[place] ?? 0) + sign * weight * (1 + Math.log(count));
  }
  let squares = sums.reduce((sum, value) => sum + value * value, 0);
  if (squares === 0) {
    // No word, or words that cancel out exactly.
    sums[mix(hashOf(text)) % embeddingDimensions] = 1;
    squares = 1;
  }
  const length = Math.sqrt(squares);
  return Array.from(sums, (value) => Math.fround(value / length));
}

/** One pass over the characters, hashing as it goes: no string is made for a word. */
function featuresOf(text: string): Features {
  const features: Features = new Map();
  let previousWord = 0;
  let word = hashSeed;
  let wordLength = 0;
  let part = hashSeed;
  let partLength = 0;
  let parts = 0;
  let first = { hash: 0, length: 0 };
  let before: CharacterKind = "other";

  const endPart = () => {
    if (partLength > 0) {
      // The only part of a word is the word: the first one counts when a second one comes.
      if (parts === 0) first = { hash: part, length: partLength };
      if (parts === 1) add(features, first.hash, weightOf(first.length));
      if (parts > 0) add(features, part, weightOf(partLength));
      parts++;
    }
    part = hashSeed;
    partLength = 0;
  };
  const endWord = () => {
    if (wordLength > 0) {
      add(features, word, weightOf(wordLength));
      if (previousWord !== 0) add(features, Math.imul(previousWord, hashPrime) ^ word, pairWeight);
      previousWord = word;
    }
    word = hashSeed;
    wordLength = 0;
    parts = 0;
  };

  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const kind = kindOf(code);
    if (kind === "other") {
      endPart();
      endWord();
    } else if (kind === "joint") {
      endPart();
    } else {
      if (kind === "upper" && before === "lower") endPart();
      const lower = kind === "upper" ? code + 32 : code;
      word = Math.imul(word ^ lower, hashPrime);
      part = Math.imul(part ^ lower, hashPrime);
      wordLength++;
      partLength++;
    }
    before = kind;
  }
  endPart();
  endWord();
  return features;
}

type CharacterKind = "lower" | "upper" | "joint" | "other";

/** Letters beyond ASCII keep their case: their words still match themselves. */
function kindOf(code: number): CharacterKind {
  if (code >= 97 && code <= 122) return "lower";
  if (code >= 65 && code <= 90) return "upper";
  if (code >= 48 && code <= 57) return "lower";
  if (code === 95) return "joint";
  if (code < 0xc0) return "other";
  // General punctuation, symbols and arrows; CJK punctuation.
  return (code >= 0x2000 && code < 0x2c00) || (code >= 0x3000 && code < 0x3040) ? "other" : "lower";
}

function weightOf(length: number): number {
  return length <= shortLength ? shortWeight : 1;
}

function add(features: Features, hash: number, weight: number): void {
  const feature = features.get(hash);
  if (feature === undefined) features.set(hash, { count: 1, weight });
  else feature.count++;
}

function hashOf(text: string): number {
  let hash = hashSeed;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), hashPrime);
  return hash;
}

/** Spreads every bit over all of them (the finalizer of MurmurHash3), as an unsigned number. */
function mix(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
