/** Paths of what a folder or a shard holds, as trees name them. */
import { z } from "zod";

/** The path of the folder itself. */
export const rootPath = ".";

/** Below its folder, with `/` between names: it leads nowhere else. */
export const innerPathSchema = z.string().refine(staysInside, "a path that stays in its folder");

function staysInside(path: string): boolean {
  return !path.includes("\0") && path.split("/").every((name) => name !== "" && name !== "." && name !== "..");
}
