/** What a proxy does that loses `If-None-Match` and signs with the store's credentials: a whole class of gateways before S3. */
import { createHash, createHmac } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** The headers of a request to S3 without the condition, signed again (Signature Version 4). */
export function withoutCondition(
  headers: IncomingHttpHeaders,
  { method, path }: { readonly method: string; readonly path: string },
  secretAccessKey: string,
): IncomingHttpHeaders {
  const { authorization = "", "if-none-match": condition, ...others } = headers;
  const [, scope = "", covered = ""] = /Credential=[^/]+\/([^,]+), SignedHeaders=([^,]+)/.exec(authorization) ?? [];
  if (condition === undefined || scope === "") return headers;
  const names = covered.split(";").filter((name) => name !== "if-none-match");
  const [place = "", query = ""] = path.split("?");
  const canonical = [
    ...[method, place, query.split("&").sort().join("&")],
    ...names.map((name) => `${name}:${String(others[name]).trim()}`),
    ...["", names.join(";"), String(others["x-amz-content-sha256"])],
  ].join("\n");
  const hash = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", others["x-amz-date"], scope, hash].join("\n");
  const key = scope
    .split("/")
    .reduce<Buffer>((secret, part) => hmac(secret, part), Buffer.from(`AWS4${secretAccessKey}`));
  const signature = hmac(key, text).toString("hex");
  return {
    ...others,
    authorization: authorization
      .replace(`SignedHeaders=${covered}`, `SignedHeaders=${names.join(";")}`)
      .replace(/Signature=[0-9a-f]+/, `Signature=${signature}`),
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
