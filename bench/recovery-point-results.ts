/** What the measurements come to: ratios, bars, and a table for people. Pure. */
import { formatBytes, formatCount, formatSeconds } from "../runtime/domain/format.ts";
import { layOut } from "./lay-out.ts";
import type { OtherToolRun } from "./other-tools.ts";
import type { ProductRun } from "./product.ts";

export interface Measurements {
  readonly data: {
    readonly points: number;
    readonly shards: number;
    /** Of both shards, as Qdrant sends them: without the holes of their files. */
    readonly archiveBytes: number;
    readonly readSeconds: number;
  };
  readonly machine: {
    readonly cores: number;
    readonly cpu: string;
    readonly memoryGiB: number;
    readonly loadBefore: number;
    readonly loadAfter: number;
    readonly versions: Readonly<Record<string, string>>;
  };
  readonly runs: {
    readonly full: { readonly ours: ProductRun[]; readonly restic: OtherToolRun[]; readonly limit: OtherToolRun[] };
    readonly unchanged: { readonly ours: ProductRun[]; readonly restic: OtherToolRun[] };
    readonly changed: { readonly ours: ProductRun[]; readonly restic: OtherToolRun[] };
    readonly restore: { readonly ours: ProductRun[]; readonly restic: OtherToolRun[]; readonly limit: OtherToolRun[] };
    readonly snapshot: OtherToolRun[];
  };
  readonly onePoint?: { readonly ours: ProductRun; readonly restic?: OtherToolRun };
}

/** Above 1 ours is the faster one; `storedVsRestic` is ours by restic's. Absent without the peer. */
export interface Ratios {
  readonly fullVsRestic?: number | undefined;
  readonly fullVsLimit?: number | undefined;
  readonly unchangedVsRestic?: number | undefined;
  readonly changedVsRestic?: number | undefined;
  readonly restoreVsUpload?: number | undefined;
  readonly restoreVsRestic?: number | undefined;
  readonly storedVsRestic?: number | undefined;
}

export interface Bar {
  readonly what: string;
  readonly value: number | undefined;
  readonly bar: string;
  /** Undefined when the run had no peer to compare with. */
  readonly met: boolean | undefined;
}

export interface Results extends Measurements {
  /** By the workflow's own seconds, medians of the run. */
  readonly ratios: Ratios;
  /** The same by the seconds of our whole process, Node's start included, as a peer's are. */
  readonly ratiosOfProcess: Ratios;
  readonly peakRssMiB: number;
  readonly oneChangedPointStoredBytes: number | undefined;
  readonly changedStoredVsRestic: number | undefined;
  readonly bars: readonly Bar[];
}

export function resultsOf(measurements: Measurements): Results {
  const { runs, onePoint } = measurements;
  const ours = [runs.full, runs.unchanged, runs.changed, runs.restore].flatMap((phase) => phase.ours);
  const ratiosBy = (seconds: (run: ProductRun) => number): Ratios => {
    const restored = median(
      runs.restore.ours.map((run) => (seconds === secondsOf ? (run.greenSeconds ?? run.seconds) : seconds(run))),
    );
    return {
      fullVsRestic: divide(fastest(runs.full.restic), median(runs.full.ours.map(seconds))),
      fullVsLimit: divide(bestWay(runs.full.limit), median(runs.full.ours.map(seconds))),
      unchangedVsRestic: divide(median(runs.unchanged.restic.map(secondsOf)), median(runs.unchanged.ours.map(seconds))),
      changedVsRestic: divide(median(runs.changed.restic.map(secondsOf)), median(runs.changed.ours.map(seconds))),
      restoreVsUpload: divide(bestWay(runs.restore.limit), restored),
      restoreVsRestic: divide(median(runs.restore.restic.map(secondsOf)), restored),
      storedVsRestic: divide(median(runs.full.ours.map(storedOf)), median(runs.full.restic.map(storedOf))),
    };
  };
  const ratios = ratiosBy(secondsOf);
  const peakRssMiB = Math.max(...ours.map((run) => run.peakRssMiB), onePoint?.ours.peakRssMiB ?? 0);
  const oneChangedPointStoredBytes = onePoint?.ours.storedBytes;
  const changedStoredVsRestic = divide(
    median(runs.changed.ours.map(storedOf)),
    median(runs.changed.restic.map(storedOf)),
  );
  const atLeast = (what: string, value: number | undefined, bar: number): Bar => ({
    what,
    value,
    bar: `≥ ${bar}`,
    met: value === undefined ? undefined : value >= bar,
  });
  const atMost = (what: string, value: number | undefined, bar: number): Bar => ({
    what,
    value,
    bar: `≤ ${bar}`,
    met: value === undefined ? undefined : value <= bar,
  });
  return {
    ...measurements,
    ratios,
    ratiosOfProcess: ratiosBy((run) => run.processSeconds),
    peakRssMiB,
    oneChangedPointStoredBytes,
    changedStoredVsRestic,
    bars: [
      atLeast("fullVsRestic", ratios.fullVsRestic, 2),
      atLeast("fullVsLimit", ratios.fullVsLimit, 0.85),
      atMost("storedVsRestic", ratios.storedVsRestic, 1),
      atLeast("unchangedVsRestic", ratios.unchangedVsRestic, 50),
      atLeast("changedVsRestic", ratios.changedVsRestic, 3),
      atMost("changedStoredVsRestic", changedStoredVsRestic, 0.5),
      atMost("oneChangedPointStoredBytes", oneChangedPointStoredBytes, 256 * 1024),
      atLeast("restoreVsUpload", ratios.restoreVsUpload, 0.55),
      atLeast("restoreVsRestic", ratios.restoreVsRestic, 1.2),
      atMost("peakRssMiB", peakRssMiB, 256),
    ],
  };
}

export function tableOf(results: Results): string {
  const { data, machine, onePoint, ratiosOfProcess, runs } = results;
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const rows: (string | undefined)[][] = [
    ["", "seconds", "whole process", "of CPU", "read", "stored", "requests (Qdrant + S3)", "peak RSS"],
    ...oursRow("full, ours", runs.full.ours),
    ...peerRow("full, restic", runs.full.restic),
    ...peerRow("full, limit (read and put, nothing else)", runs.full.limit),
    ...peerRow("full, collection snapshot + tar.gz", runs.snapshot),
    ...oursRow("unchanged, ours", runs.unchanged.ours),
    ...peerRow("unchanged, restic", runs.unchanged.restic),
    ...oursRow("one point, ours", onePoint === undefined ? [] : [onePoint.ours]),
    ...peerRow("one point, restic", onePoint?.restic === undefined ? [] : [onePoint.restic]),
    ...oursRow("1 % + 0.1 % changed, ours", runs.changed.ours),
    ...peerRow("1 % + 0.1 % changed, restic", runs.changed.restic),
    ...oursRow("restore, ours (green at)", runs.restore.ours),
    ...peerRow("restore, restic", runs.restore.restic),
    ...peerRow("restore, limit (curl from local disk)", runs.restore.limit),
  ];
  const bars = results.bars.map(({ bar, met, value, what }) => {
    const ofProcess = ratiosOfProcess[what as keyof Ratios];
    const verdict = met === undefined ? "not measured" : met ? "met" : "NOT MET";
    return [what, number(value), bar, verdict, ofProcess === undefined ? "" : number(ofProcess)];
  });
  return [
    `${formatCount(data.points)} points in ${data.shards} shards: ${formatBytes(data.archiveBytes)} as Qdrant sends them, in ${data.readSeconds.toFixed(2)} s when nobody keeps them`,
    `${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB; load ${machine.loadBefore.toFixed(1)} before, ${machine.loadAfter.toFixed(1)} after; ${versions.join(", ")}`,
    "",
    layOut(rows),
    "",
    layOut([["bar", "value", "wanted", "", "by whole process"], ...bars]),
  ].join("\n");
}

function oursRow(what: string, runs: readonly ProductRun[]): string[][] {
  if (runs.length === 0) return [];
  const green = runs.flatMap(({ greenSeconds }) => greenSeconds ?? []);
  const seconds = each(runs.map(secondsOf)) + (green.length === 0 ? "" : ` (${each(green)})`);
  const last = runs.at(-1);
  return [
    [
      what,
      seconds,
      each(runs.map(({ processSeconds }) => processSeconds)),
      each(runs.map((run) => run.cpuSeconds)),
      runs.flatMap(({ capture }) => (capture === undefined ? [] : formatBytes(capture.readBytes))).join(" · "),
      runs.map(({ storedBytes }) => formatBytes(storedBytes)).join(" · "),
      `${last?.requests.qdrant} + ${last?.requests.store}`,
      `${Math.max(...runs.map(({ peakRssMiB }) => peakRssMiB)).toFixed(0)} MiB`,
    ],
  ];
}

function peerRow(what: string, runs: readonly OtherToolRun[]): string[][] {
  if (runs.length === 0) return [];
  const best = runs.toSorted((a, b) => a.seconds - b.seconds)[0]?.way;
  const stored = runs.flatMap(({ storedBytes }) => (storedBytes === undefined ? [] : formatBytes(storedBytes)));
  const cpu = runs.flatMap(({ cpuSeconds }) => cpuSeconds ?? []);
  return [
    [
      what,
      "",
      each(runs.map(secondsOf)),
      each(cpu),
      "",
      stored.join(" · "),
      best === undefined ? "" : `best: ${best}`,
      "",
    ],
  ];
}

const each = (seconds: readonly number[]) => seconds.map((value) => formatSeconds(value, 2)).join(" · ");

function number(value: number | undefined): string {
  if (value === undefined) return "–";
  return value >= 1000 ? formatCount(Math.round(value)) : value.toFixed(2);
}

/** Of the ways that were tried, the median of the fastest one. */
function bestWay(runs: readonly OtherToolRun[]): number | undefined {
  const ways = Map.groupBy(runs, ({ way }) => way ?? "");
  return least([...ways.values()].map((same) => median(same.map(secondsOf))));
}

function fastest(runs: readonly OtherToolRun[]): number | undefined {
  return least(runs.map(secondsOf));
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function median(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const middle = known.length / 2;
  const [low, high] = [known[Math.ceil(middle) - 1], known[Math.floor(middle)]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

function divide(above: number | undefined, below: number | undefined): number | undefined {
  return above === undefined || below === undefined ? undefined : above / below;
}

const secondsOf = ({ seconds }: { readonly seconds: number }) => seconds;
const storedOf = ({ storedBytes }: { readonly storedBytes?: number }) => storedBytes;
