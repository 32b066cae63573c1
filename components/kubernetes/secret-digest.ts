import { createHash } from "node:crypto";

/**
 * The digest of a Secret's content, for an annotation of the pods that read it when they start: pods that ran on would go on
 * with a key that was turned. It is no secret: the contents hold keys of 128 bits and more.
 */
export function secretDigest(content: Readonly<Record<string, string>>): string {
  return createHash("sha256")
    .update(JSON.stringify(Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1))))
    .digest("hex");
}
