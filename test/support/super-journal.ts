/** As SQLite ends a journal of a transaction over several databases (file format: super-journal). */
export function recordOfOtherFile(path: string): Buffer {
  const name = Buffer.from(path);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(0x40000000 / 4096 + 1);
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(name.length, 0);
  tail.writeUInt32BE(
    name.reduce((sum, byte) => sum + byte, 0),
    4,
  );
  return Buffer.concat([head, name, tail, Buffer.from("d9d505f920a163d7", "hex")]);
}
