/** A gate that keeps a journal, in front of one real Qdrant, and what its journal says when it is read. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ageIdentities } from "../../../runtime/adapters/age-identities.ts";
import { AgeKeyWrap } from "../../../runtime/adapters/age-key-wrap.ts";
import { GateControl } from "../../../runtime/adapters/gate-control.ts";
import { FileStore } from "../../../runtime/adapters/stores/file-store.ts";
import type { JournalEntry } from "../../../runtime/domain/journal/entry.ts";
import { beginOfJournal } from "../../../runtime/domain/journal/position.ts";
import type { GateJournal } from "../../../runtime/domain/roles/gate-journal.ts";
import type { KeyWrap } from "../../../runtime/ports/key-wrap.ts";
import { claimEpoch } from "../../../runtime/repository/control/epochs.ts";
import { JournalReader } from "../../../runtime/repository/journal/journal-reader.ts";
import { signed, signing } from "../estates/test-trust.ts";
import { FrontProcess } from "../servers/front-process.ts";
import type { QdrantServer } from "../servers/qdrant-server.ts";
import { eventually } from "../time/eventually.ts";
import { ask, told } from "./told-points.ts";

export class JournalledGate {
  readonly qdrant: QdrantServer;
  /** The other region's repository. */
  readonly store: string;
  readonly #folder: string;
  /** Who may read the journal. */
  readonly wrap: KeyWrap;
  readonly #settings: GateJournal;
  #front: FrontProcess | undefined;
  /** Of what stands before Qdrant; absent: nothing does. */
  #proxyUrl: string | undefined;

  private constructor(qdrant: QdrantServer, folder: string, identity: string, settings: GateJournal) {
    this.qdrant = qdrant;
    this.#folder = folder;
    this.#settings = settings;
    this.wrap = new AgeKeyWrap({ recipients: settings.recipients, identity });
    this.store = join(folder, "store");
  }

  static async start(
    qdrant: QdrantServer,
    settings: Partial<GateJournal> = {},
    proxyUrl?: string,
  ): Promise<JournalledGate> {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-journalled-"));
    const identity = await ageIdentities.make();
    const gate = new JournalledGate(qdrant, folder, identity, {
      mode: "async",
      flushMilliseconds: 50,
      bufferBytes: 256 * 1024 * 1024,
      bufferSeconds: 60,
      onStoreDown: "refuse",
      spool: join(folder, "spool"),
      recipients: await Promise.all([identity, await ageIdentities.make()].map(ageIdentities.recipientOf)),
      ...settings,
    });
    gate.#proxyUrl = proxyUrl;
    for (const place of ["store", "control"]) mkdirSync(join(folder, place));
    const control = signed(new FileStore(join(folder, "control")), "east", "control");
    const at = new Date().toISOString();
    await claimEpoch(control, { epoch: 1, active: "east", reason: "initial", run: "r", at });
    await gate.restart();
    return gate;
  }

  /** Another process, which takes over: the one before is killed. */
  async restart(): Promise<void> {
    await this.kill();
    this.#front = await this.another("gate");
    await eventually("the gate takes writes", async () => (await this.state()).refusal === undefined);
  }

  /** A process more, on the same spool only where it says so. */
  another(name: string, spool = this.#settings.spool): Promise<FrontProcess> {
    const control = { kind: "file", folder: join(this.#folder, "control") } as const;
    const { apiKey, grpcUrl, url } = this.qdrant;
    const upstream = { apiKey, grpcUrl, url: this.#proxyUrl ?? url };
    return FrontProcess.gate(join(this.#folder, name), "east", upstream, control, undefined, {
      JOURNAL: JSON.stringify({ ...this.#settings, spool }),
      JOURNAL_STORE: JSON.stringify({ kind: "file", folder: this.store }),
      SIGNING_KEY: signing,
    });
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#front?.stop();
    this.#front = undefined;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** As clients see it. */
  get asServer(): { readonly url: string; readonly apiKey: string } {
    return this.#front?.asUpstream ?? { url: "http://127.0.0.1:9", apiKey: "" };
  }

  async state(): Promise<{
    refusal?: string;
    waiting: number;
    isUnprotected: boolean;
    inFlight: number;
    lateWrites: number;
  }> {
    const { controlToken, controlUrls } = this.#front?.asGate ?? { controlToken: "", controlUrls: [""] };
    const answer = await fetch(controlUrls[0] ?? "", { headers: { authorization: `Bearer ${controlToken}` } });
    const { inFlight, journal } = (await answer.json()) as { inFlight: number; journal: never };
    return { ...(journal as object as { waiting: number; isUnprotected: boolean; lateWrites: number }), inFlight };
  }

  /** As status and metrics ask it. */
  get control(): GateControl {
    if (this.#front === undefined) throw new Error("the gate does not run");
    return new GateControl(this.#front.asGate);
  }

  /** Returns when the journal tells of everything that was let through. */
  untilTold(): Promise<unknown> {
    return eventually("everything is told", async () => (await this.state()).inFlight === 0);
  }

  reader(): JournalReader {
    return new JournalReader(signed(new FileStore(this.store), "west", "repository"), "east", this.wrap);
  }

  /** All that the journal says, in its order. */
  async entries(): Promise<JournalEntry[]> {
    const reader = this.reader();
    const entries: JournalEntry[] = [];
    for (let position = beginOfJournal; ; ) {
      const next = await reader.next(position);
      if (next === undefined) return entries;
      entries.push(...next.entries);
      position = next.position;
    }
  }
}

/** Makes an empty Qdrant what the entries say, one after another, in the plainest way. */
export async function replay(entries: readonly JournalEntry[], target: QdrantServer): Promise<void> {
  for (const entry of entries) {
    if (entry.kind === "points") {
      const path = `/collections/${entry.collection}/points`;
      if (!entry.isComplete)
        await told(target, "POST", `${path}/delete?wait=true`, `{"points":[${entry.ids.join(",")}]}`);
      if (entry.points.length > 0) {
        await told(target, "PUT", `${path}?wait=true`, `{"points":[${entry.points.join(",")}]}`);
      }
    } else if (entry.kind === "collection") {
      const { params, optimizer_config, wal_config } = entry.config as Record<string, object>;
      const body = JSON.stringify({ ...params, wal_config, optimizers_config: optimizer_config });
      await ask(target, "PUT", `/collections/${entry.collection}`, body);
      for (const [field_name, field_schema] of Object.entries(entry.indexes)) {
        const index = JSON.stringify({ field_name, field_schema });
        await told(target, "PUT", `/collections/${entry.collection}/index?wait=true`, index);
      }
    } else if (entry.kind === "collection-deleted") {
      await told(target, "DELETE", `/collections/${entry.collection}`);
    } else if (entry.kind === "aliases") {
      for (const { alias, collection } of entry.aliases) {
        const actions = [{ create_alias: { alias_name: alias, collection_name: collection } }];
        await told(target, "POST", "/collections/aliases", JSON.stringify({ actions }));
      }
    } else throw new Error(`${entry.kind} cannot be replayed`);
  }
}
