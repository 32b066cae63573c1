/**
 * Points as a search over documents holds them: clustered vectors with full-length mantissas (Qdrant normalises them),
 * text of a natural distribution of words, and fields to filter by. The same numbers give the same points everywhere.
 * They are written as JSON right away, from tables: formatting floats would take longer than Qdrant takes to store them.
 */
export const dimensions = 384;
const clusters = 512;
const vocabularySize = 30_000;
const wordsPerText = { fewest: 60, spread: 90 };
const tableSize = 1 << 16;
/** Components are multiples of 1/10,000 between -1 and 1. */
const scale = 10_000;

export class PointGenerator {
  readonly #numbers = Array.from({ length: 2 * scale + 1 }, (_, at) => String((at - scale) / scale));
  readonly #gauss: Int16Array;
  readonly #centers: Int16Array;
  /** Words by rank of use: drawing evenly from the table draws them by Zipf's law. */
  readonly #words: readonly string[];

  constructor() {
    const random = randomFrom(1);
    const gauss = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    this.#gauss = Int16Array.from({ length: tableSize }, () => clamp(0.12 * gauss()));
    this.#centers = Int16Array.from({ length: clusters * dimensions }, () => clamp(0.2 * gauss()));
    const vocabulary = Array.from({ length: vocabularySize }, () => makeWord(random));
    const share = Math.log(vocabularySize);
    this.#words = Array.from({ length: tableSize }, () => vocabulary[Math.floor(Math.exp(random() * share)) - 1] ?? "");
  }

  /** JSON of the point with this id; another `version` of it differs in vector and text. */
  point(id: number, version: number): string {
    const random = randomFrom(mix(id) ^ mix(version + 77));
    const cluster = Math.floor(random() * clusters);
    let vector = "";
    for (let at = 0; at < dimensions; at += 1) {
      const noise = this.#gauss[Math.floor(random() * tableSize)] ?? 0;
      const value = Math.max(-scale, Math.min(scale, (this.#centers[cluster * dimensions + at] ?? 0) + noise));
      vector += at === 0 ? this.#numbers[value + scale] : `,${this.#numbers[value + scale]}`;
    }
    let text = "";
    for (let left = wordsPerText.fewest + Math.floor(random() * wordsPerText.spread); left > 0; left -= 1) {
      text += `${this.#words[Math.floor(random() * tableSize)]} `;
    }
    const payload = `{"source":"corpus-${cluster % 40}","document":${Math.floor(id / 12)},"chunk":${id % 12},"version":${version},"text":"${text.trimEnd()}"}`;
    return `{"id":${id},"vector":[${vector}],"payload":${payload}}`;
  }
}

/** A stream of numbers in [0, 1) that depends on the seed only (xorshift). */
export function randomFrom(seed: number): () => number {
  let state = mix(seed) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function clamp(value: number): number {
  return Math.round(scale * Math.max(-1, Math.min(1, value)));
}

function makeWord(random: () => number): string {
  const pick = (letters: string) => letters[Math.floor(random() * letters.length)] ?? "";
  const syllables = 1 + Math.floor(random() * 3.4);
  let word = "";
  for (let at = 0; at < syllables; at += 1)
    word += pick("bcdfghjklmnprstvwz") + pick("aeiou") + (random() < 0.3 ? pick("nrst") : "");
  return word;
}
