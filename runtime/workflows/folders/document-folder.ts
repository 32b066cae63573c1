/** Documents of the infrastructure as a folder, so that they are captured like one. */
import type { InfrastructureDocument, InfrastructureSource } from "../../ports/cluster.ts";
import type { FolderSource, FoundEntry, OpenFile } from "../../ports/folders.ts";

/** Readable for nobody but the owner: there may be Secrets among them. */
const mode = 0o600;

/** Each document can be opened until the next one is asked for, as a capture does it. */
export function documentFolder(source: InfrastructureSource): FolderSource {
  let current: InfrastructureDocument | undefined;
  return {
    exists: async () => true,
    async *entries() {
      for await (const document of source.documents()) {
        current = document;
        yield entryOf(document);
      }
    },
    async open(path) {
      if (current?.path !== path) throw new Error(`${path} was opened after the next document was asked for`);
      return opened(current);
    },
  };
}

function entryOf({ bytes, changedAt, path }: InfrastructureDocument): FoundEntry {
  return { path, type: "file", mode, uid: 0, gid: 0, modifiedAt: changedAt, size: bytes.length };
}

function opened(document: InfrastructureDocument): OpenFile {
  return {
    entry: entryOf(document),
    content: (async function* () {
      yield { offset: 0, bytes: document.bytes };
    })(),
    close: async () => ({ isConsistent: true }),
  };
}
