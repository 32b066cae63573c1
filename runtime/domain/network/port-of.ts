/** The port that a URL leads to, written in it or not. */
export function portOf(text: string): number {
  const url = new URL(text);
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}
