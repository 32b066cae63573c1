/** Text of elsewhere on a terminal: names that clients and servers gave must not steer it, nor look like lines of this tool. */

/** Control characters of ASCII and of Latin-1, what breaks a line, and what turns text round; the line's own end and the tabulator not. */
const steering = /[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;

/** Every other character as it is, and those written as JSON writes them: JSON that is printed stays what it was. */
export function printable(text: string): string {
  return text.replaceAll(steering, (character) =>
    character === "\n" || character === "\t" ? character : written(character),
  );
}

/** The text of an answer, in which nothing that the answer quotes begins a line of its own. */
export function printableAnswer(text: string, quoted: unknown): string {
  let whole = text;
  for (const each of stringsIn(quoted)) {
    if (each.includes("\n")) whole = whole.replaceAll(each, each.replaceAll("\n", "\\u000a"));
  }
  return printable(whole);
}

function* stringsIn(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  if (typeof value !== "object" || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    yield name;
    yield* stringsIn(part);
  }
}

function written(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
}
