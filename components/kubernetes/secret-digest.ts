import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";

/**
 * The digest of a Secret's content, for an annotation of the pods that read it when they start: pods that ran on would go on
 * with a key that was turned. It is no secret: the contents hold keys of 128 bits and more.
 */
export function secretDigest(content: pulumi.Output<Readonly<Record<string, string>>>): pulumi.Output<string> {
  const digest = content.apply((values) =>
    createHash("sha256")
      .update(JSON.stringify(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))))
      .digest("hex"),
  );
  return pulumi.unsecret(digest);
}
