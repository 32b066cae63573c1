/**
 * How a chunk list is stored. All numbers are big endian:
 * 2 bytes each: packs, keys, frames, entries · 32 bytes a pack · 16 bytes a key · 16 bytes a frame (2 pack, 2 key, 4 offset, 4 length,
 * 4 size) · 6 bytes an entry (2 frame, 4 start of the chunk in it; or 2 all ones, 4 chunks of zeros) · 32 bytes for the name of each
 * chunk.
 */
import { DrError } from "../../errors.ts";
import { type ChunkList, type Frame, largestFrame, type StoredChunk } from "./stored-content.ts";

const headSize = 8;
const nameSize = 32;
const keySize = 16;
const frameSize = 16;
const entrySize = 6;
const zerosMark = 0xffff;

/** The most entries of each kind: a list covers far fewer chunks. */
const mostOfAKind = 4096;

/** The most bytes a chunk list may be: every entry of a pack, frame and key of its own. */
export const largestChunkList = 256 * 1024;

export function serialiseChunkList(list: ChunkList): Buffer {
  const chunks = list.filter((entry) => typeof entry !== "number");
  const packs = numbered(chunks.map(({ frame }) => [frame.pack, frame.pack]));
  const keys = numbered(chunks.map(({ frame }) => [frame.key, frame.key]));
  const frames = numbered(chunks.map(({ frame }) => [nameOfFrame(frame), frame]));
  const bytes = Buffer.alloc(
    sizeOf(packs.values.length, keys.values.length, frames.values.length, list.length, chunks.length),
  );
  let at = 0;
  const number = (value: number, size: 2 | 4) => {
    at = bytes.writeUIntBE(value, at, size);
  };
  const hex = (text: string, size: number) => {
    if (bytes.write(text, at, size, "hex") !== size) throw new Error(`not ${size} bytes in hex: ${text}`);
    at += size;
  };
  for (const { length } of [packs.values, keys.values, frames.values, list]) number(length, 2);
  for (const pack of packs.values) hex(pack, nameSize);
  for (const key of keys.values) hex(key, keySize);
  for (const { key, length, offset, pack, size } of frames.values) {
    number(packs.positionOf(pack), 2);
    number(keys.positionOf(key), 2);
    for (const value of [offset, length, size]) number(value, 4);
  }
  for (const entry of list) {
    number(typeof entry === "number" ? zerosMark : frames.positionOf(nameOfFrame(entry.frame)), 2);
    number(typeof entry === "number" ? entry : entry.start, 4);
  }
  for (const { name } of chunks) hex(name, nameSize);
  return bytes;
}

/** Each value once, in the order in which they come. */
function numbered<Value>(named: readonly (readonly [string, Value])[]) {
  const table = new Map(named);
  const positions = new Map([...table.keys()].map((name, position) => [name, position]));
  const positionOf = (name: string): number => {
    const position = positions.get(name);
    if (position === undefined) throw new Error(`a table is asked for ${name}, which it does not hold`);
    return position;
  };
  return { values: [...table.values()], positionOf };
}

/** Throws OBJECT_CORRUPT when it is no chunk list. */
export function parseChunkList(bytes: Buffer): ChunkList {
  if (bytes.length < headSize || bytes.length > largestChunkList) throw noList(`it has ${bytes.length} bytes`);
  let at = 0;
  const number = (size: 2 | 4) => {
    const value = bytes.readUIntBE(at, size);
    at += size;
    return value;
  };
  const hex = (size: number) => {
    at += size;
    return bytes.toString("hex", at - size, at);
  };
  const times = <T>(count: number, read: () => T): T[] => Array.from({ length: count }, read);
  const [packCount, keyCount, frameCount, entryCount] = [number(2), number(2), number(2), number(2)];
  if (Math.max(packCount, keyCount, frameCount, entryCount) > mostOfAKind) throw noList("it counts too much");
  const marks = headSize + packCount * nameSize + keyCount * keySize + frameCount * frameSize;
  if (bytes.length < marks + entryCount * entrySize) throw noList("it is cut");
  let chunkCount = 0;
  for (let mark = marks; mark < marks + entryCount * entrySize; mark += entrySize) {
    if (bytes.readUInt16BE(mark) !== zerosMark) chunkCount += 1;
  }
  if (bytes.length !== sizeOf(packCount, keyCount, frameCount, entryCount, chunkCount)) {
    throw noList("it is not as long as it says");
  }
  const packs = times(packCount, () => hex(nameSize));
  const keys = times(keyCount, () => hex(keySize));
  const frames = times(frameCount, (): Frame => {
    const [pack, key] = [packs[number(2)], keys[number(2)]];
    const [offset, length, size] = [number(4), number(4), number(4)];
    if (pack === undefined || key === undefined) throw noList("a frame is of a pack or key that it does not name");
    if (length === 0 || size === 0 || size > largestFrame) throw noList(`a frame of ${length} bytes opens to ${size}`);
    return { pack, offset, length, key, size };
  });
  let name = marks + entryCount * entrySize;
  return times(entryCount, (): number | StoredChunk => {
    const [mark, value] = [number(2), number(4)];
    if (mark === zerosMark) {
      if (value === 0) throw noList("an entry is of no chunks");
      return value;
    }
    const frame = frames[mark];
    if (frame === undefined || value >= frame.size) throw noList("a chunk is in no frame that it names");
    name += nameSize;
    return { name: bytes.toString("hex", name - nameSize, name), frame, start: value };
  });
}

function sizeOf(packs: number, keys: number, frames: number, entries: number, chunks: number): number {
  return headSize + packs * nameSize + keys * keySize + frames * frameSize + entries * entrySize + chunks * nameSize;
}

function nameOfFrame({ key, offset, pack }: Frame): string {
  return `${pack} ${offset} ${key}`;
}

function noList(why: string): DrError {
  return new DrError("OBJECT_CORRUPT", `what is named as a chunk list is none: ${why}`, {
    hint: "verify the recovery point in the other region's bucket, and capture a full one",
  });
}
