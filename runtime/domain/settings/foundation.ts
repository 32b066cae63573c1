/** The outputs of a foundation: where each region's records are, and which region serves first. */
import { z } from "zod";
import { DrError } from "../../errors.ts";
import { trustSchema } from "../trust/trust.ts";
import { bucketSchema } from "./primitives.ts";
import { storeCredentialsSchema } from "./stack-settings.ts";

const foundBucketSchema = z.object(bucketSchema.shape);

const foundationSchema = z
  .object({
    initialActive: z.string(),
    /** Of a pair that is there already, whose stores are new. */
    trust: trustSchema.optional(),
    regions: z.record(
      z.string(),
      z.looseObject({ stores: z.object({ repository: foundBucketSchema, control: foundBucketSchema }) }),
    ),
  })
  .refine(({ regions }) => Object.keys(regions).length === 2, { path: ["regions"], message: "two regions" })
  .refine(({ initialActive, regions }) => initialActive in regions, {
    path: ["initialActive"],
    message: "one of the regions",
  });
export type Foundation = z.infer<typeof foundationSchema>;

export const foundationHint = "write them with `pulumi stack output --json --cwd bootstrap --stack <name>`";

/** By region, the access key that creates in its control store. */
const storeKeysSchema = z.record(z.string(), storeCredentialsSchema);
export type StoreKeys = z.infer<typeof storeKeysSchema>;

/** @throws USAGE naming what is not as it should be, and no key. */
export function parseStoreKeys(text: string, { regions }: Pick<Foundation, "regions">): StoreKeys {
  const hint =
    'it is JSON: {"prod": {"accessKeyId": "…", "secretAccessKey": "…"}}, with the names of the foundation\'s regions';
  let problem: string | undefined;
  try {
    const { data, error } = storeKeysSchema.safeParse(JSON.parse(text));
    const unknown = Object.keys(data ?? {}).find((region) => !(region in regions));
    if (data !== undefined && unknown === undefined) return data;
    problem =
      unknown === undefined
        ? error?.issues.map(({ message, path }) => `${path.join(".")}: ${message}`).join("; ")
        : `${unknown} is no region of the foundation`;
  } catch {
    problem = "no JSON";
  }
  throw new DrError("USAGE", `these are no keys of stores: ${problem}`, { hint });
}

/** @throws USAGE naming what is not as it should be. */
export function parseFoundation(text: string): Foundation {
  try {
    const result = foundationSchema.safeParse(JSON.parse(text));
    if (result.success) return result.data;
    const problems = result.error.issues.map(({ message, path }) => `${path.join(".")}: ${message}`);
    throw new Error(problems.join("; "));
  } catch (cause) {
    throw new DrError("USAGE", `these are not the outputs of a foundation: ${(cause as Error).message}`, {
      hint: foundationHint,
      cause,
    });
  }
}
