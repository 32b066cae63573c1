/** Names of collections, or patterns of names such as `archive-*`. */
import { Minimatch } from "minimatch";

export function matcherOf(pattern: string): (name: string) => boolean {
  const matcher = new Minimatch(pattern, { dot: true, nocomment: true, nonegate: true });
  return (name) => name === pattern || matcher.match(name);
}

export function isNamedBy(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matcherOf(pattern)(name));
}
