/**
 * Which names Qdrant lets a collection have: tried with every ASCII character on 1.16.3. The name is a folder's there, so that 255
 * bytes are the most.
 */
const mostBytes = 255;
const forbidden = ["<", ">", ":", '"', "/", "\\", "|", "?", "*", "\u0000", "\u001f"];

/** What is wrong with a name for a collection that is to be made; undefined when it can be had. */
export function problemOfName(name: string): string | undefined {
  if (name === "" || name === "." || name === "..") return "it names no collection";
  const character = forbidden.find((each) => name.includes(each));
  if (character !== undefined) return `Qdrant allows no ${JSON.stringify(character)} in it`;
  return Buffer.byteLength(name) > mostBytes ? `it is longer than ${mostBytes} bytes` : undefined;
}
