/** Cuts Markdown and TypeScript into chunks of a size that is searched well, at borders that a reader would choose. */

/** In characters (UTF-16 units). A chunk ends at a strong border once it is long enough, and before it is too long. */
const longEnough = 600;
export const longestChunk = 900;
const longestSignature = 200;

export interface SourceDocument {
  /** From the root of the workspace, with slashes; the extension says what it is. */
  readonly path: string;
  readonly package: string;
  readonly text: string;
}

export interface DocumentChunk {
  readonly path: string;
  readonly package: string;
  readonly language: "markdown" | "typescript";
  readonly kind: "prose" | "source" | "declarations";
  /** The heading that the chunk stands under, in Markdown. */
  readonly heading?: string;
  /** Where it begins, from 1. */
  readonly line: number;
  readonly text: string;
}

export interface ExportedSymbol {
  readonly name: string;
  readonly kind: string;
  /** The line that declares it, without indentation, at most 200 characters. */
  readonly signature: string;
  /** From 1. */
  readonly line: number;
}

/** Lines that stay together as long as they fit into one chunk. */
interface Block {
  readonly line: number;
  readonly text: string;
  readonly isStrong: boolean;
  readonly heading: string | undefined;
}

/** Every line of the document is in exactly one chunk, but for blank lines at borders. */
export function chunksOf({ path, package: packageName, text }: SourceDocument): DocumentChunk[] {
  const lines = text.split(/\r\n|\r|\n/);
  const isMarkdown = path.endsWith(".md");
  const blocks = isMarkdown ? markdownBlocks(lines) : typescriptBlocks(lines);
  return pack(blocks.flatMap(cutLong)).map(({ line, text, heading }) => ({
    path,
    package: packageName,
    language: isMarkdown ? "markdown" : "typescript",
    kind: isMarkdown ? "prose" : path.endsWith(".d.ts") ? "declarations" : "source",
    ...(heading === undefined ? {} : { heading }),
    line,
    text,
  }));
}

const exportedDeclaration =
  /^[ \t]*export[ \t]+(?:default[ \t]+)?(?:declare[ \t]+)?(?:abstract[ \t]+)?(?:async[ \t]+)?(function\b[ \t]*\*?|class|interface|type|const[ \t]+enum|const|let|var|enum|namespace)[ \t]+([A-Za-z_$][\w$]*).*$/gm;

/** The declarations that TypeScript source exports by name where it declares them; a scan, not a parse. */
export function symbolsOf(text: string): ExportedSymbol[] {
  let line = 1;
  let counted = 0;
  return [...text.matchAll(exportedDeclaration)].map((match) => {
    for (let at = text.indexOf("\n", counted); at !== -1 && at < match.index; at = text.indexOf("\n", at + 1)) {
      line++;
      counted = at + 1;
    }
    const [declaration, keyword = "", name = ""] = match;
    const kind = keyword.startsWith("function") ? "function" : keyword.replace(/\s+/, " ");
    return { name, kind, signature: wellFormed(declaration.trim().slice(0, longestSignature)), line };
  });
}

/** Paragraphs, lists, fenced code; a heading begins a block. */
function markdownBlocks(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  let fence: string | undefined;
  let heading: string | undefined;
  let isBorder = true;
  for (const [index, line] of lines.entries()) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    const title = fence === undefined ? /^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$/.exec(line)?.[1] : undefined;
    if (title !== undefined) heading = title;
    addLine(blocks, { line, index, isBorder: isBorder || title !== undefined, isStrong: title !== undefined, heading });
    if (fence === undefined) fence = mark;
    else if (mark?.startsWith(fence)) fence = undefined;
    isBorder = fence === undefined && line.trim() === "";
  }
  return blocks;
}

/** A line that begins at the margin with a declaration or with the comment above it. */
const topLevel =
  /^(?:\/\*\*|\/\/|@|export\b|declare\b|import\b|(?:abstract |async )?(?:function|class)\b|interface |type |const |let |enum |namespace )/;
/** What belongs to the declaration below it. */
const belongsBelow = /^(?:\/\*\*.*\*\/|\/\/.*| \*\/|@.*)\s*$/;

/** Top-level declarations with their comments; inside long ones, blank lines. */
function typescriptBlocks(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (const [index, line] of lines.entries()) {
    const before = lines[index - 1] ?? "";
    const isStrong = topLevel.test(line) && !belongsBelow.test(before);
    addLine(blocks, { line, index, isBorder: isStrong || before.trim() === "", isStrong, heading: undefined });
  }
  return blocks;
}

interface PlacedLine {
  readonly line: string;
  readonly index: number;
  readonly isBorder: boolean;
  readonly isStrong: boolean;
  readonly heading: string | undefined;
}

function addLine(blocks: Block[], { line, index, isBorder, isStrong, heading }: PlacedLine): void {
  const last = blocks.at(-1);
  if (last === undefined || isBorder) blocks.push({ line: index + 1, text: line, isStrong, heading });
  else blocks[blocks.length - 1] = { ...last, text: `${last.text}\n${line}` };
}

/** A block that is longer than a chunk, cut at the ends of lines, and inside a line only when that alone is too long. */
function cutLong(block: Block): Block[] {
  if (block.text.length <= longestChunk) return [block];
  const pieces: Block[] = [];
  for (const [offset, line] of block.text.split("\n").entries()) {
    for (const [part, text] of cutLine(line).entries()) {
      const last = pieces.at(-1);
      if (last !== undefined && part === 0 && last.text.length + 1 + text.length <= longestChunk) {
        pieces[pieces.length - 1] = { ...last, text: `${last.text}\n${text}` };
      } else {
        pieces.push({ ...block, line: block.line + offset, text, isStrong: pieces.length === 0 && block.isStrong });
      }
    }
  }
  return pieces;
}

function cutLine(line: string): string[] {
  const parts: string[] = [];
  let rest = line;
  while (rest.length > longestChunk) {
    const part = wellFormed(rest.slice(0, longestChunk));
    parts.push(part);
    rest = rest.slice(part.length);
  }
  return [...parts, rest];
}

/** Without half a character at its end: no server takes that as JSON. */
function wellFormed(text: string): string {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}

function pack(blocks: readonly Block[]): Block[] {
  const chunks: Block[] = [];
  let open: Block | undefined;
  const close = () => {
    if (open !== undefined) chunks.push({ ...open, text: open.text.trimEnd() });
    open = undefined;
  };
  for (const block of blocks) {
    if (open !== undefined) {
      const isFull = open.text.length + 1 + block.text.length > longestChunk;
      if (isFull || (block.isStrong && open.text.length >= longEnough)) close();
    }
    if (open !== undefined) open = { ...open, text: `${open.text}\n${block.text}` };
    else if (block.text.trim() !== "") open = block;
  }
  close();
  return chunks;
}
