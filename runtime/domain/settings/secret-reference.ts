/** Where a secret is kept: a settings file names the place, never the secret. */
import { z } from "zod";

/** Every problem of a reference is told by this alone: what stands there may be the secret itself. */
export const secretWanted =
  "a reference to a secret, { file: path } or { env: NAME } with a name in capitals; never the secret itself";

export const secretReferenceSchema = z
  .strictObject(
    {
      env: z
        .string(secretWanted)
        .regex(/^[A-Z_][A-Z0-9_]*$/, secretWanted)
        .optional()
        .describe("name of the environment variable that holds it, in capitals"),
      file: z
        .string(secretWanted)
        .min(1, secretWanted)
        .optional()
        .describe("path of a file that holds it alone; relative to the settings file"),
    },
    secretWanted,
  )
  .refine(({ env, file }) => (env === undefined) !== (file === undefined), secretWanted)
  // Shown as one value where settings are described.
  .meta({ title: "secret" });
export type SecretReference = z.infer<typeof secretReferenceSchema>;
