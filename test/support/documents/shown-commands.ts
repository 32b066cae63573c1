/** Commands that the documents show in `sh` blocks, as they stand there. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const checkout = fileURLToPath(new URL("../../..", import.meta.url));

export interface ShownCommand {
  /** Path in the checkout. */
  readonly document: string;
  /** The nearest heading above it. */
  readonly heading: string;
  /** Without the comment behind it. */
  readonly line: string;
}

/** Every Markdown file that a user or a developer reads. */
export function documentPaths(): string[] {
  const below = readdirSync(join(checkout, "docs"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .sort();
  return ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...below.map((path) => join("docs", path))];
}

/** In the order of the document. */
export function shownCommands(document: string): ShownCommand[] {
  const commands: ShownCommand[] = [];
  let heading = "";
  let block: "none" | "sh" | "other" = "none";
  for (const line of readFileSync(join(checkout, document), "utf8").split("\n")) {
    const [, language] = /^ *```(\w*)/.exec(line) ?? [];
    if (language !== undefined) block = block !== "none" ? "none" : language === "sh" ? "sh" : "other";
    else if (block === "none") heading = /^#+ (.+)$/.exec(line)?.[1] ?? heading;
    else if (block === "sh" && line.trim() !== "") {
      commands.push({ document, heading, line: line.replace(/\s+#.*$/, "").trim() });
    }
  }
  return commands;
}

/** What the program is told by a line such as `KEY=… ./bin/qdrant-dr verify --stack dr > FILE`; undefined for another program's. */
export function toldToProduct(line: string): string | undefined {
  return /^(?:[A-Z_]+=\S+ )*(?:npx |(?:\.\/)?bin\/)?qdrant-dr (.+?)(?: > \S+)?$/.exec(line)?.[1];
}
