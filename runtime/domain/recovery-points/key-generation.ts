/** What an operator says when data keys are to be new: captures make new ones under the repository's new key. The newest counts. */
import { z } from "zod";

export const keyGenerationSchema = z.object({
  at: z.iso.datetime(),
  /** Seals manifests and other records of the repository from then on. */
  key: z.string().regex(/^[0-9a-f]{32}$/),
  /** Keys of repositories, of this one and of those that recovery points were copied from: nothing new is sealed with what was made under them. */
  retired: z.array(z.string()),
});
export type KeyGeneration = z.infer<typeof keyGenerationSchema>;
