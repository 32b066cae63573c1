/** The age identities in a text, such as `age-keygen` writes them: comments, and a line for each. */
export function identitiesIn(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("AGE-SECRET-KEY-"));
}

/** The one that is used now: others that follow it open what is still wrapped for them. */
export function identityIn(text: string): string | undefined {
  return identitiesIn(text)[0];
}
