/**
 * The tar dialect of Qdrant's shard snapshots, read and written as streams: old-GNU headers, `L` for long names, and `S`
 * for sparse members, whose map of data regions libraries do not hand out. Everything else is refused: what is not
 * understood cannot be promised to be restorable.
 *
 * Formats: GNU tar manual, "Basic Tar Format" (struct oldgnu_header, struct sparse); the reader on the other side is the
 * Rust crate `tar` as Qdrant v1.16–v1.19 uses it.
 */
import { DrError } from "../../errors.ts";

const blockSize = 512;
const sparseSlotSize = 24;
const slotsInHeader = 4;
const slotsInExtension = 21;

/** A stretch of a file that holds data; everything outside the regions of a file is zero. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

export interface TarEntry {
  readonly path: string;
  readonly type: "file" | "directory";
  /** Where its headers begin in the archive. */
  readonly begins: number;
  /** Expanded size in bytes. */
  readonly size: number;
  /** Where it holds data. */
  readonly regions: readonly Extent[];
  /** Data in file order; to be read before the next entry is asked for, otherwise it is skipped. */
  readonly content: AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>;
}

/** Reads a tar stream; throws CAPTURE_INCOMPLETE when it ends before the end-of-archive blocks. */
export async function* readSparseTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const input = new ByteSource(source);
  let longName: string | undefined;
  let begins = 0;
  for (;;) {
    if (longName === undefined) begins = input.position;
    const header = await input.block();
    if (isZero(header)) {
      if (!isZero(await input.block())) throw malformed("a lone zero block");
      return;
    }
    checkHeaderSum(header);
    const storedSize = readNumber(header, 124, 12);
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === "L") {
      longName = readText(await input.take(storedSize));
      await input.skip(padding(storedSize));
      continue;
    }
    const path = normalise(longName ?? readName(header));
    longName = undefined;
    if (type === "5") {
      yield { path, type: "directory", begins, size: 0, regions: [], content: nothing() };
    } else if (type === "0" || type === "\0" || type === "S") {
      const map = type === "S" ? await readSparseMap(header, input) : wholeFile(storedSize);
      if (map.regions.reduce((sum, region) => sum + region.length, 0) !== storedSize) {
        throw malformed(`sparse map of ${path} does not add up to its ${storedSize} stored bytes`);
      }
      const content = readRegions(input, map.regions);
      yield { path, type: "file", begins, ...map, content };
      for await (const _skipped of content);
      await input.skip(padding(storedSize));
    } else {
      throw malformed(`entry ${path} has the unknown type ${JSON.stringify(type)}`);
    }
  }
}

export interface OutgoingEntry {
  readonly path: string;
  readonly type: "file" | "directory";
  readonly size: number;
  /** Ascending; every region but the last of the file is a multiple of 512 bytes long. */
  readonly regions: readonly Extent[];
  /** The bytes of the regions, one after another. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** Writes a tar stream; files with holes become sparse members, so that an upload costs what the data costs. */
export async function* writeSparseTar(entries: AsyncIterable<OutgoingEntry>): AsyncGenerator<Uint8Array> {
  for await (const entry of entries) {
    const stored = entry.regions.reduce((sum, region) => sum + region.length, 0);
    const name = entry.type === "directory" && !entry.path.endsWith("/") ? `${entry.path}/` : entry.path;
    if (Buffer.byteLength(name) > 100) yield* longNameRecord(name);
    if (entry.type === "directory") {
      yield headerBlock(name, "5", 0);
      continue;
    }
    if (stored === entry.size) yield headerBlock(name, "0", stored);
    else yield sparseHeader(name, entry.size, stored, entry.regions);
    let written = 0;
    for await (const bytes of entry.content) {
      written += bytes.length;
      yield bytes;
    }
    if (written !== stored) throw new Error(`${entry.path}: ${written} bytes came for ${stored}`);
    if (padding(stored) > 0) yield new Uint8Array(padding(stored));
  }
  yield new Uint8Array(2 * blockSize);
}

/** Hands out exact byte counts from a stream without joining more than a caller asks for. */
class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  /** How many bytes were handed out. */
  position = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** At least one and at most `most` bytes, as they came. */
  async some(most: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const next = await this.#iterator.next();
      if (next.done) {
        throw new DrError("CAPTURE_INCOMPLETE", "the archive ended before its end-of-archive blocks", {
          hint: "the server or the connection broke off while it sent; capture again",
        });
      }
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(piece.length);
    this.position += piece.length;
    return piece;
  }

  async take(length: number): Promise<Uint8Array> {
    const whole = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const piece = await this.some(length - filled);
      whole.set(piece, filled);
      filled += piece.length;
    }
    return whole;
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) left -= (await this.some(left)).length;
  }

  block(): Promise<Uint8Array> {
    return this.take(blockSize);
  }
}

async function* nothing(): AsyncGenerator<never> {}

async function* readRegions(
  input: ByteSource,
  regions: readonly Extent[],
): AsyncGenerator<{ offset: number; bytes: Uint8Array }> {
  for (const region of regions) {
    for (let done = 0; done < region.length; ) {
      const bytes = await input.some(region.length - done);
      yield { offset: region.offset + done, bytes };
      done += bytes.length;
    }
  }
}

interface FileMap {
  readonly size: number;
  readonly regions: readonly Extent[];
}

function wholeFile(size: number): FileMap {
  return { size, regions: size === 0 ? [] : [{ offset: 0, length: size }] };
}

async function readSparseMap(header: Uint8Array, input: ByteSource): Promise<FileMap> {
  const regions = readSlots(header, 386, slotsInHeader);
  for (let isExtended = header[482] !== 0; isExtended; ) {
    const extension = await input.block();
    regions.push(...readSlots(extension, 0, slotsInExtension));
    isExtended = extension[504] !== 0;
  }
  const size = readNumber(header, 483, 12);
  let end = 0;
  for (const region of regions) {
    if (region.offset < end) throw malformed("sparse regions overlap");
    end = region.offset + region.length;
  }
  if (end > size) throw malformed("a sparse region reaches beyond its file");
  return { size, regions: regions.filter((region) => region.length > 0) };
}

function readSlots(bytes: Uint8Array, start: number, count: number): Extent[] {
  const slots: Extent[] = [];
  for (let slot = 0; slot < count; slot += 1) {
    const at = start + slot * sparseSlotSize;
    if (bytes[at] === 0) break;
    slots.push({ offset: readNumber(bytes, at, 12), length: readNumber(bytes, at + 12, 12) });
  }
  return slots;
}

function sparseHeader(name: string, size: number, stored: number, regions: readonly Extent[]): Uint8Array {
  const last = regions.at(-1);
  const endsInHole = last === undefined || last.offset + last.length < size;
  const slots = endsInHole ? [...regions, { offset: size, length: 0 }] : [...regions];
  const extensions = Math.ceil(Math.max(0, slots.length - slotsInHeader) / slotsInExtension);
  const bytes = new Uint8Array(blockSize * (1 + extensions));
  writeSlots(bytes, 386, slots.slice(0, slotsInHeader));
  bytes[482] = extensions > 0 ? 1 : 0;
  writeNumber(bytes, 483, 12, size);
  for (let extension = 0; extension < extensions; extension += 1) {
    const start = blockSize * (1 + extension);
    const from = slotsInHeader + extension * slotsInExtension;
    writeSlots(bytes, start, slots.slice(from, from + slotsInExtension));
    bytes[start + 504] = extension + 1 < extensions ? 1 : 0;
  }
  fillHeader(bytes, name, "S", stored);
  return bytes;
}

function writeSlots(bytes: Uint8Array, start: number, slots: readonly Extent[]): void {
  for (const [slot, region] of slots.entries()) {
    writeNumber(bytes, start + slot * sparseSlotSize, 12, region.offset);
    writeNumber(bytes, start + slot * sparseSlotSize + 12, 12, region.length);
  }
}

function* longNameRecord(name: string): Generator<Uint8Array> {
  const text = Buffer.from(`${name}\0`);
  yield headerBlock("././@LongLink", "L", text.length);
  yield text;
  yield new Uint8Array(padding(text.length));
}

function headerBlock(name: string, type: string, size: number): Uint8Array {
  const bytes = new Uint8Array(blockSize);
  fillHeader(bytes, name, type, size);
  return bytes;
}

function fillHeader(bytes: Uint8Array, name: string, type: string, size: number): void {
  bytes.set(Buffer.from(name).subarray(0, 100), 0);
  writeNumber(bytes, 100, 8, type === "5" ? 0o755 : 0o644);
  writeNumber(bytes, 108, 8, 0);
  writeNumber(bytes, 116, 8, 0);
  writeNumber(bytes, 124, 12, size);
  writeNumber(bytes, 136, 12, 0);
  bytes[156] = type.charCodeAt(0);
  bytes.set(Buffer.from("ustar  \0"), 257);
  bytes.fill(0x20, 148, 156);
  bytes.set(Buffer.from(`${headerSum(bytes).toString(8).padStart(6, "0")}\0 `), 148);
}

function headerSum(header: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < blockSize; at += 1) sum += at >= 148 && at < 156 ? 0x20 : (header[at] ?? 0);
  return sum;
}

function checkHeaderSum(header: Uint8Array): void {
  if (readNumber(header, 148, 8) !== headerSum(header)) throw malformed("a header's checksum does not fit");
}

/** Octal digits, or base 256 when the first bit is set (GNU, for what octal cannot hold). */
function readNumber(bytes: Uint8Array, at: number, length: number): number {
  const first = bytes[at] ?? 0;
  let value = 0;
  if (first >= 0x80) {
    value = first & 0x7f;
    for (let i = at + 1; i < at + length; i += 1) value = value * 256 + (bytes[i] ?? 0);
  } else {
    const digits = readText(bytes.subarray(at, at + length)).trim();
    if (!/^[0-7]*$/.test(digits)) throw malformed(`not a number: ${JSON.stringify(digits)}`);
    value = digits === "" ? 0 : Number.parseInt(digits, 8);
  }
  if (!Number.isSafeInteger(value)) throw malformed("a number beyond 2^53");
  return value;
}

function writeNumber(bytes: Uint8Array, at: number, length: number, value: number): void {
  const digits = value.toString(8);
  if (digits.length < length) {
    bytes.set(Buffer.from(`${digits.padStart(length - 1, "0")}\0`), at);
    return;
  }
  let rest = value;
  for (let i = at + length - 1; i > at; i -= 1) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes[at] = 0x80;
}

function readName(header: Uint8Array): string {
  return readText(header.subarray(0, 100));
}

function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("utf8");
}

/** Paths are relative and stay inside the shard. */
function normalise(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (path.startsWith("/") || parts.includes(".."))
    throw malformed(`the path ${JSON.stringify(path)} leaves the shard`);
  return parts.join("/");
}

function padding(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

const zeroBlock = Buffer.alloc(blockSize);

function isZero(block: Uint8Array): boolean {
  return zeroBlock.equals(block);
}

function malformed(what: string): DrError {
  return new DrError("CAPTURE_INCOMPLETE", `the archive cannot be read: ${what}`, {
    hint: "capture again; if it stays, this Qdrant version writes an archive this version does not know",
  });
}
