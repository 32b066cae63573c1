/**
 * Reads a collection from a repository by what docs/reference/store-format.md says, and by nothing else: it shares no code with the
 * product. Whoever writes a reader of their own can begin here.
 */
import { createDecipheriv, createHash, createHmac, createPublicKey, verify } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { Decrypter } from "age-encryption";

export interface Access {
  /** Holds the folders `repository` and `control`. */
  readonly folder: string;
  readonly identity: string;
  readonly region: string;
  readonly trust: { readonly id: string; readonly keys: readonly string[] };
}

interface Key {
  readonly data: Buffer;
  readonly naming: Buffer;
}

interface Piece {
  readonly pack: string;
  readonly offset: number;
  readonly length: number;
  readonly key: string;
  readonly name: string;
}

interface Tree {
  readonly collection: string;
  readonly shard: number;
  readonly files: readonly {
    readonly path: string;
    readonly size: number;
    readonly lists: readonly (Piece | null)[];
  }[];
}

export interface Manifest {
  readonly id: string;
  readonly collections: readonly {
    readonly name: string;
    readonly facts: string;
    readonly pointsAfter: number;
    readonly shards: readonly { readonly id: number; readonly tree: { readonly id: string; readonly size: number } }[];
  }[];
}

export interface Facts {
  readonly config: { readonly params: Readonly<Record<string, unknown>> };
}

const chunkBytes = 64 * 1024;
const chunksInList = 256;

export class Reader {
  readonly #access: Access;
  readonly #keys = new Map<string, Promise<Key>>();

  constructor(access: Access) {
    this.#access = access;
  }

  /** Ids of the recovery points, the oldest first. */
  recoveryPoints(): string[] {
    const days = join(this.#access.folder, "repository", "recovery-points");
    return readdirSync(days)
      .flatMap((day) => readdirSync(join(days, day)))
      .sort();
  }

  async manifest(id: string): Promise<Manifest> {
    const day = `${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}`;
    const place = `recovery-points/${day}/${id}/manifest`;
    const repository = JSON.parse(`${this.#signed("repository", "repository.json")}`) as { id: string; format: number };
    if (repository.format !== 1) throw new Error("another format");
    return JSON.parse(
      `${(await this.#unsealed(`${repository.id} ${place}`, this.#signed("repository", place))).plain}`,
    );
  }

  async facts(id: string): Promise<Facts> {
    return JSON.parse(`${await this.#named("facts", id)}`);
  }

  /** The files of a shard, by their paths. */
  async shard(treeId: string): Promise<Map<string, Buffer>> {
    const tree: Tree = JSON.parse(`${await this.#named("tree", treeId)}`);
    const files = new Map<string, Buffer>();
    for (const { lists, path, size } of tree.files) {
      // What no list names is zero.
      const content = Buffer.alloc(size);
      for (const [at, list] of lists.entries()) {
        if (list !== null) await this.#fill(content, at * chunksInList * chunkBytes, list);
      }
      files.set(path, content);
    }
    return files;
  }

  async #fill(content: Buffer, from: number, piece: Piece): Promise<void> {
    const sealed = this.#pack(piece.pack).subarray(piece.offset, piece.offset + piece.length);
    const key = await this.#key(piece.key);
    const list = open(key, `list ${piece.name}`, sealed);
    if (nameOf(key, list) !== piece.name) throw new Error("a chunk list is not what its name says");
    const [packs = 0, keys = 0, frames = 0, entries = 0] = [0, 2, 4, 6].map((at) => list.readUInt16BE(at));
    const packsAt = 8;
    const keysAt = packsAt + 32 * packs;
    const framesAt = keysAt + 16 * keys;
    const entriesAt = framesAt + 16 * frames;
    let nameAt = entriesAt + 6 * entries;
    let to = from;
    for (let entry = entriesAt; entry < entriesAt + 6 * entries; entry += 6) {
      const [frame, value] = [list.readUInt16BE(entry), list.readUInt32BE(entry + 2)];
      if (frame === 0xffff) {
        to += value * chunkBytes;
        continue;
      }
      const at = framesAt + 16 * frame;
      const pack = list.toString(
        "hex",
        packsAt + 32 * list.readUInt16BE(at),
        packsAt + 32 * list.readUInt16BE(at) + 32,
      );
      const keyAt = keysAt + 16 * list.readUInt16BE(at + 2);
      const chunkKey = await this.#key(list.toString("hex", keyAt, keyAt + 16));
      const [offset, length] = [list.readUInt32BE(at + 4), list.readUInt32BE(at + 8)];
      const opened = open(chunkKey, "frame", this.#pack(pack).subarray(offset, offset + length));
      const chunk = opened.subarray(value, value + Math.min(chunkBytes, content.length - to));
      if (nameOf(chunkKey, chunk) !== list.toString("hex", nameAt, nameAt + 32)) throw new Error("a chunk is another");
      nameAt += 32;
      content.set(chunk, to);
      to += chunk.length;
    }
  }

  #pack(id: string): Buffer {
    const bytes = this.#stored("repository", `packs/${id.slice(0, 2)}/${id}`);
    if (createHash("sha256").update(bytes).digest("hex") !== id) throw new Error(`pack ${id} is damaged`);
    return bytes;
  }

  /** What is named by its content. */
  async #named(kind: "tree" | "facts", id: string): Promise<Buffer> {
    const folder = kind === "tree" ? "trees" : "facts";
    const { key, plain } = await this.#unsealed(
      `${kind} ${id}`,
      this.#stored("repository", `${folder}/${id.slice(0, 2)}/${id}`),
    );
    if (nameOf(key, plain) !== id) throw new Error(`${kind} ${id} is not what its name says`);
    return plain;
  }

  async #unsealed(name: string, bytes: Buffer): Promise<{ readonly key: Key; readonly plain: Buffer }> {
    const key = await this.#key(bytes.toString("latin1", 0, 32));
    return { key, plain: open(key, name, bytes.subarray(32)) };
  }

  #key(id: string): Promise<Key> {
    const known = this.#keys.get(id) ?? this.#unwrapped(id);
    this.#keys.set(id, known);
    return known;
  }

  async #unwrapped(id: string): Promise<Key> {
    const decrypter = new Decrypter();
    decrypter.addIdentity(this.#access.identity);
    const text = await decrypter.decrypt(this.#signed("control", `keys/${id}.age`), "text");
    const key = JSON.parse(text) as { id: string; data: string; naming: string };
    if (key.id !== id) throw new Error(`keys/${id}.age holds another key`);
    return { data: Buffer.from(key.data, "base64"), naming: Buffer.from(key.naming, "base64") };
  }

  /** The bytes behind the line of the signature. */
  #signed(store: "repository" | "control", key: string): Buffer {
    const stored = this.#stored(store, key);
    const end = stored.indexOf("\n") + 1;
    const [, , keyId, signature = ""] = stored.toString("latin1", 0, end - 1).split(" ");
    const bytes = stored.subarray(end);
    const { region, trust } = this.#access;
    const parts = ["qdrant-dr object 1", `${trust.id}/${region}/${store}`, key].map((text) => Buffer.from(text));
    const signed = [...parts, bytes].flatMap((part) => [length64(part.length), part]);
    const signer = trust.keys
      .map((text) => Buffer.from(text.replace("qdrant-dr-key-", ""), "base64url"))
      .find((raw) => createHash("sha256").update(raw).digest("hex").startsWith(String(keyId)));
    if (signer === undefined) throw new Error(`nobody who is trusted signed ${key}`);
    const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), signer]);
    const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
    if (!verify(null, Buffer.concat(signed), publicKey, Buffer.from(signature, "base64url")))
      throw new Error(`${key} is forged`);
    return bytes;
  }

  #stored(store: "repository" | "control", key: string): Buffer {
    return readFileSync(join(this.#access.folder, store, key));
  }
}

function open({ data }: Key, name: string, sealed: Buffer): Buffer {
  const cipher = createDecipheriv("aes-256-gcm", data, sealed.subarray(1, 13), { authTagLength: 16 });
  cipher.setAAD(Buffer.concat([sealed.subarray(0, 1), Buffer.from(name)]));
  cipher.setAuthTag(sealed.subarray(-16));
  const body = Buffer.concat([cipher.update(sealed.subarray(13, -16)), cipher.final()]);
  return sealed[0] === 1 ? zstdDecompressSync(body) : body;
}

function nameOf({ naming }: Key, bytes: Buffer): string {
  return createHmac("sha256", naming).update(bytes).digest("hex");
}

function length64(length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(length));
  return bytes;
}
