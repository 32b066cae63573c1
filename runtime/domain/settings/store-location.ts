/** Where one store of a settings file is: a folder, or a bucket with a prefix that everything of ours is under. */
import { z } from "zod";
import { bucketNameSchema } from "./primitives.ts";

export type StoreLocation =
  | { readonly kind: "file"; readonly folder: string }
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix?: string };

/** Characters of keys that every S3 server and every tool writes alike. */
const prefixSchema = z
  .string()
  .max(512)
  .regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/)
  .refine((prefix) => prefix.split("/").every((part) => !/^\.+$/.test(part)));

const wanted =
  "a folder, or s3://bucket/prefix: a bucket's name, then letters, digits, dots, hyphens and slashes of a prefix, or none";

/** The location that a text names, or what is wrong with the text. */
export function readStoreLocation(text: string): StoreLocation | { readonly problem: string } {
  const match = /^s3:\/\/([^/]+)(?:\/(.*?))?\/?$/.exec(text);
  if (match !== null) {
    const [, bucket = "", prefix = ""] = match;
    if (!bucketNameSchema.safeParse(bucket).success) return { problem: wanted };
    if (prefix === "") return { kind: "s3", bucket };
    return prefixSchema.safeParse(prefix).success ? { kind: "s3", bucket, prefix } : { problem: wanted };
  }
  const isFolder = text.trim() !== "" && !text.includes("\0") && !/^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  return isFolder ? { kind: "file", folder: text } : { problem: wanted };
}

export const storeLocationSchema = z.string().superRefine((text, { addIssue }) => {
  const read = readStoreLocation(text);
  // Comparisons with other settings read the location.
  if ("problem" in read) addIssue({ code: "custom", message: read.problem, continue: false });
});
