/** Completes what the options of `init` leave open, by questions where somebody answers them. */
import { DrError } from "../../errors.ts";
import type { Terminal } from "../../ports/terminal.ts";

/** What the options say. */
export interface GivenAnswers {
  readonly qdrant?: string | undefined;
  readonly store?: string | undefined;
  readonly s3Endpoint?: string | undefined;
  readonly s3Region?: string | undefined;
}

export interface RegionAnswers extends GivenAnswers {
  readonly qdrant: string;
  readonly store: string;
}

/** @throws USAGE naming the options that are missing, where nobody can be asked. */
export async function askForRegion(
  given: GivenAnswers,
  terminal: Pick<Terminal, "ask" | "isInteractive">,
): Promise<RegionAnswers> {
  const missing = [
    ...(given.qdrant === undefined ? ["--qdrant <url>"] : []),
    ...(given.store === undefined ? ["--store <folder or s3://bucket/prefix>"] : []),
  ];
  if (missing.length > 0 && !terminal.isInteractive) {
    throw new DrError("USAGE", `nobody can be asked, and these options are missing: ${missing.join(" and ")}`, {
      hint: "give them, or run it on a terminal without --yes",
    });
  }
  const qdrant = given.qdrant ?? (await terminal.ask("URL of Qdrant's REST API", "http://127.0.0.1:6333"));
  const store = given.store ?? (await terminal.ask("Where recovery points are kept: a folder, or s3://bucket/prefix"));
  if (given.s3Endpoint !== undefined || given.store !== undefined || !store.startsWith("s3://")) {
    return { ...given, qdrant, store };
  }
  const endpoint = await terminal.ask("URL of the S3 server; empty for AWS");
  return { ...given, qdrant, store, s3Endpoint: endpoint === "" ? undefined : endpoint };
}
