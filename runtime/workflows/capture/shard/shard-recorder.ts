/** Puts the files of a shard's archive into the repository, and names a tree from which the whole shard can be put together. */
import {
  filesOfSegment,
  parseSegment,
  type SegmentManifest,
  unnamedFilesOf,
  versionOf,
} from "../../../domain/qdrant/segment-manifest.ts";
import type { TarEntry } from "../../../domain/qdrant/sparse-tar.ts";
import { countsEveryOperation, isOfLog } from "../../../domain/qdrant/write-ahead-log.ts";
import type { DataKey } from "../../../domain/recovery-points/key.ts";
import { type ShardTree, shardTreeSchema } from "../../../domain/recovery-points/shard-tree.ts";
import { DrError } from "../../../errors.ts";
import { ContentWriter, type OrphanedPieces } from "../../../repository/content/content-writer.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import type { Storing } from "../read/storing.ts";
import type { RecordedShard, ShardBase } from "./captured-shard.ts";

const segmentManifestFile = /^segments\/[^/]+\/files\/segment_manifest\.json$/;
/** Files beside the segments that a restore needs. */
const shardFiles = new Set(["replica_state.json", "shard_config.json", "newest_clocks.json"]);

export function isOfSegment(path: string): boolean {
  return /^segments\/./.test(path);
}

/** Which shard is recorded, and where. */
export interface ShardRecording {
  readonly repository: OpenRepository;
  readonly key: DataKey;
  readonly collection: string;
  readonly shard: number;
  readonly lineage: string;
  /** The last capture of the shard in the bucket: bytes that it holds are not stored again. */
  readonly found: ShardBase | undefined;
  /** Told how many bytes came since the last call. */
  readonly onRead: ((bytes: number) => void) | undefined;
}

/** Opens a recorder for each archive of a shard that is read. */
export class ShardRecorders {
  readonly #recording: ShardRecording;
  readonly #storing: Storing | undefined;

  constructor(recording: ShardRecording, storing: Storing | undefined) {
    this.#recording = recording;
    this.#storing = storing;
  }

  /** To be awaited before Qdrant is asked for something that leaves a trace: a run that is cut off is known by it. */
  async begin(): Promise<void> {
    await this.#storing?.begin();
  }

  async open(): Promise<ShardRecorder> {
    await this.begin();
    return new ShardRecorder(this.#recording, await this.#storing?.orphanedPieces());
  }
}

/** One pass over an archive, file by file into the repository. */
export class ShardRecorder {
  readonly segments: SegmentManifest = {};
  readonly #recording: ShardRecording;
  readonly #content: ContentWriter;
  readonly #came = new Set<string>();
  #changed: ReadonlySet<string> = new Set();

  constructor(recording: ShardRecording, orphaned: OrphanedPieces | undefined) {
    const { found, key, repository } = recording;
    this.#recording = recording;
    this.#content = new ContentWriter(repository, key, found?.tree, orphaned);
  }

  async take(entry: TarEntry): Promise<void> {
    if (entry.type === "directory") return;
    if (segmentManifestFile.test(entry.path)) {
      const parts: Uint8Array[] = [];
      for await (const { bytes } of entry.content) parts.push(bytes);
      const segment = parseSegment(Buffer.concat(parts).toString("utf8"));
      this.segments[segment.segment_id] = segment;
    } else if (isOfSegment(entry.path) || isOfLog(entry.path) || shardFiles.has(entry.path)) {
      await this.#content.addFile(entry.path, entry.size, this.#counted(entry.content));
      this.#came.add(entry.path);
    }
  }

  async *#counted(contents: TarEntry["content"]): TarEntry["content"] {
    for await (const extent of contents) {
      this.#recording.onRead?.(extent.bytes.length);
      yield extent;
    }
  }

  /** Writes the tree; what the archive left out is carried over from the base, and must be there. */
  async finish(carries: boolean): Promise<RecordedShard> {
    const { collection, key, lineage, repository, shard } = this.#recording;
    if (!this.#came.has("replica_state.json")) throw this.#incomplete("replica_state.json");
    for (const path of Object.values(this.segments).flatMap(unnamedFilesOf)) {
      if (!this.#came.has(path)) throw this.#incomplete(path);
    }
    for (const path of Object.values(this.segments).flatMap(filesOfSegment)) {
      if (this.#came.has(path)) continue;
      if (!carries || !this.#content.carry(path)) throw this.#incomplete(path);
    }
    if (!countsEveryOperation([...this.#came], this.segments)) throw this.#incomplete("a write-ahead log");
    const { changed, files, packs, readBytes, storedBytes } = await this.#content.finish();
    this.#changed = changed;
    const content: ShardTree = {
      format: 1,
      collection,
      shard,
      lineage,
      segments: this.segments,
      files: [...files],
      packs: [...packs],
    };
    const tree = await repository.createTree(key, shardTreeSchema, content);
    return { tree, content, readBytes, storedBytes: storedBytes + tree.size };
  }

  /** Files whose version is that of the base's segments, and whose bytes are not; known when everything is stored. */
  contradictions(base: SegmentManifest): string[] {
    return [...this.#changed].filter((path) => {
      const version = versionOf(this.segments, path);
      return version !== undefined && version === versionOf(base, path);
    });
  }

  /** To be called in the end, however it ends. */
  close(): void {
    this.#content.close();
  }

  #incomplete(path: string): DrError {
    const { collection, shard } = this.#recording;
    return new DrError("CAPTURE_INCOMPLETE", `${collection} shard ${shard}: ${path} is named and did not come`, {
      hint: "take a full capture: `qdrant-dr backup --type full`",
    });
  }
}
