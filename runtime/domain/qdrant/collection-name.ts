/**
 * Which names Qdrant lets a collection have: tried with every ASCII character on 1.16.3. The name is a folder's there, so that 255
 * bytes are the most.
 */
const mostBytes = 255;
const forbidden = ["<", ">", ":", '"', "/", "\\", "|", "?", "*", "\u0000", "\u001f"];

/** Says why Qdrant would refuse a name for a new collection; undefined when it accepts the name. */
export function problemOfName(name: string): string | undefined {
  if (name === "" || name === "." || name === "..") return "it names no collection";
  const character = forbidden.find((each) => name.includes(each));
  if (character !== undefined) return `Qdrant allows no ${JSON.stringify(character)} in it`;
  return Buffer.byteLength(name) > mostBytes ? `it is longer than ${mostBytes} bytes` : undefined;
}
