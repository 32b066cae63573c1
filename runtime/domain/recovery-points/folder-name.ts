/** The name of a folder in recovery points: of settings, manifests and trees alike. It becomes a part of paths. */
import { z } from "zod";

export const folderNameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}$/, "a lower-case name of letters, digits and hyphens");
