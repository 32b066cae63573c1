/** The age identity in a text, such as `age-keygen` writes it: comments, and a line of its own. */
export function identityIn(text: string): string | undefined {
  return text
    .split("\n")
    .map((line) => line.trim())
    .find((line) => line.startsWith("AGE-SECRET-KEY-"));
}
