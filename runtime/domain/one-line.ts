/** Control characters of ASCII and of Latin-1, and what turns text round or breaks its line on a terminal. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]+/gu;

/** Text of elsewhere as one line that changes nothing on a terminal, at most `longest` characters long. */
export function oneLine(text: string, longest: number): string {
  const line = text.replaceAll(unprintable, " ").trim();
  if (line.length <= longest) return line;
  // Half of a character that needs two is none.
  return `${line.slice(0, longest - 1).replace(/[\uD800-\uDBFF]$/, "")}…`;
}
