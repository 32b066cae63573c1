/** The dependencies of commands. Only ports: `compose` chooses the adapters. */

import type { ClusterSettings } from "../domain/infrastructure/infrastructure.ts";
import type { StoreKind } from "../domain/jobs.ts";
import type { Sample } from "../domain/monitoring/metrics.ts";
import type { Region, StoreAddress } from "../domain/region.ts";
import type { AlertReceiver, Heartbeat } from "../ports/alert-receiver.ts";
import type { Clock } from "../ports/clock.ts";
import type { Cluster } from "../ports/cluster.ts";
import type { AskQueries, FailoverHooks } from "../ports/failover-hooks.ts";
import type { FolderTarget } from "../ports/folders.ts";
import type { LocalNote } from "../ports/local-note.ts";
import type { NewFiles } from "../ports/new-files.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { OwnCommands } from "../ports/own-commands.ts";
import type { Progress } from "../ports/progress.ts";
import type { PrunableStore } from "../ports/prunable-store.ts";
import type { VectorDatabase } from "../ports/qdrant.ts";
import type { Runner } from "../ports/runner.ts";
import type { SettingsFile } from "../ports/settings-file.ts";
import type { SnapshotFile } from "../ports/snapshot-file.ts";
import type { StackExports, Stacks } from "../ports/stacks.ts";
import type { StoreProtection } from "../ports/store-protection.ts";
import type { TextFiles } from "../ports/text-files.ts";
import type { WriterRights } from "../ports/writer-rights.ts";
import type { InitTools } from "../workflows/init/init-region.ts";
import type { RegionSession } from "../workflows/region-session.ts";

/** How a command finds the region that it is about. */
export interface RegionOptions {
  /** A settings file; otherwise the one that QDRANT_DR_SETTINGS names, or `qdrant-dr.yaml` here. */
  readonly settings?: string | undefined;
  /** A practice estate that was kept. */
  readonly estate?: string | undefined;
  /** A file with the stack's `region` output, for jobs that have no Pulumi; or a folder with one of each stack, `<stack>.json`. */
  readonly outputs?: string | undefined;
  /** A file with the offline recovery identity. */
  readonly identityFile?: string | undefined;
  /** A file with an operator's own signing key. */
  readonly signingKeyFile?: string | undefined;
}

export interface Deps {
  readonly clock: Clock;
  readonly progress: Progress;
  readonly toolVersion: string;
  /** The process that runs the command. */
  readonly runner: Runner;
  /** The folder for reports, unless an option names another. */
  readonly reportsFolder: string;
  /**
   * Runs `clean` when the command is interrupted; the returned function withdraws it.
   * @param how isUsualEnd: the command runs until it is interrupted, and then ends by itself, with its own exit code.
   */
  onInterrupt(clean: () => Promise<void>, how?: { readonly isUsualEnd: boolean }): () => void;
  stacks(options: RegionOptions): Promise<Stacks & StackExports>;
  /** The settings file that the options, the environment or the folder name; undefined when there is none. Throws SETTING_INVALID. */
  settings(options: Pick<RegionOptions, "settings">): Promise<SettingsFile | undefined>;
  /**
   * Opens a region.
   * @param name of its stack, or as its settings file calls it; undefined: the one that the settings file is of.
   */
  access(name: string | undefined, options: RegionOptions): Promise<RegionSession>;
  cluster(settings: Pick<ClusterSettings, "context" | "kubeconfig">): Promise<Cluster>;
  readonly initTools: InitTools;
  /** Runs the gate that a settings file describes; returns when it listens, with what ends it. Throws PORT_TAKEN. */
  runGate(file: SettingsFile): Promise<() => Promise<void>>;
  /** A store that is in no stack; of AWS with the credentials of the environment. */
  store(address: StoreAddress): ObjectStore;
  /** A region's store, of which only what is signed for it is read. */
  signedStore(region: Pick<Region, "keys" | "region" | "trust">, store: StoreKind, address: StoreAddress): ObjectStore;
  /** An operator's own signing key, of this file or of QDRANT_DR_SIGNING_KEY; undefined when there is none. */
  signingKey(file: string | undefined): Promise<string | undefined>;
  /** The right to delete from a region's repository. Only `prune` takes it. */
  pruner(address: StoreAddress): PrunableStore;
  storeProtection(address: StoreAddress): Promise<StoreProtection>;
  /** What the credentials of a store can do to an object of this key, which they make. */
  writerRights(address: StoreAddress, key: string): Promise<WriterRights>;
  /** Folders of this machine to restore into. */
  readonly folderTarget: FolderTarget;
  /**
   * A folder of this machine to write texts to; it need not be there.
   * @param how isPrivate: only this user may read what is written.
   */
  textFiles(folder: string, how?: { readonly isPrivate: boolean }): TextFiles;
  /** A file that holds a snapshot. Throws USAGE when there is none. */
  snapshotFile(path: string): Promise<SnapshotFile>;
  /** A folder that new files are written into. */
  newFiles(folder: string): NewFiles;
  /** A Qdrant that is in no stack. */
  database(peers: readonly string[], apiKey: string): VectorDatabase;
  /** The hooks in an operator's file. Throws SETTING_INVALID. */
  hooks(file: string, askQueries: AskQueries): Promise<FailoverHooks>;
  /**
   * Serves what `samples` answers to Prometheus. Throws PORT_TAKEN.
   * @param problem why the process is not ready; undefined when it is.
   */
  serveMetrics(
    address: { readonly host: string; readonly port: number },
    samples: () => readonly Sample[],
    problem?: () => string | undefined,
  ): Promise<MetricsEndpoint>;
  /** A note on this machine about this. */
  localNote(about: string): LocalNote;
  /** Commands of this program, each with these arguments behind its own. */
  ownCommands(lastArgs: readonly string[]): OwnCommands;
  /** Who is told of problems, by a settings file. Throws SETTING_INVALID. */
  alertReceivers(file: SettingsFile): Promise<AlertReceivers>;
}

export interface AlertReceivers {
  readonly receivers: readonly AlertReceiver[];
  readonly heartbeat: Heartbeat | undefined;
}

export interface MetricsEndpoint {
  readonly url: string;
  stop(): Promise<void>;
}
