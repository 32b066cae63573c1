/** One run of the schedule, from the turn that this process took to the record of how it ended. */
import { isSkipped } from "../../domain/monitoring/runs.ts";
import { kindTable, type ScheduledKind } from "../../domain/schedule/scheduled-kinds.ts";
import type { Clock } from "../../ports/clock.ts";
import type { CommandEnd, OwnCommands } from "../../ports/own-commands.ts";
import type { Progress } from "../../ports/progress.ts";
import { beatMs, type FinishedAttempt, type ScheduleRecords } from "../../repository/control/schedule-records.ts";
import { pause } from "../../time/pause.ts";

export interface ScheduledRunTools {
  readonly commands: OwnCommands;
  readonly records: ScheduleRecords;
  readonly clock: Clock;
  readonly progress: Progress;
}

/** Never throws; what cannot be written of its end is kept by the records. */
export async function runScheduled(
  run: ScheduledKind,
  turn: number,
  { clock, commands, progress, records }: ScheduledRunTools,
  stopped: AbortSignal,
): Promise<CommandEnd> {
  const command = commands.start(kindTable[run].args, (line) => progress({ step: run, detail: line }));
  const interrupt = () => command.interrupt();
  stopped.addEventListener("abort", interrupt, { once: true });
  if (stopped.aborted) interrupt();
  const ending = new AbortController();
  const beating = giveSignsOfLife(run, turn, records, clock, ending.signal);
  const end = await command.ended;
  stopped.removeEventListener("abort", interrupt);
  ending.abort();
  await beating;
  await records.end(run, turn, finishedAs(end)).catch(() => undefined);
  return end;
}

async function giveSignsOfLife(
  run: ScheduledKind,
  turn: number,
  records: ScheduleRecords,
  clock: Clock,
  ended: AbortSignal,
): Promise<void> {
  await pause(clock, beatMs, ended);
  for (let beat = 1; !ended.aborted; ) {
    // The same one again, until the store has it: whoever listens crosses no gap.
    const isHeard = await records.beat(run, turn, beat).then(
      () => true,
      () => false,
    );
    if (isHeard) beat += 1;
    await pause(clock, beatMs, ended);
  }
}

function finishedAs(end: CommandEnd): FinishedAttempt {
  if (end.kind === "done") return { outcome: "succeeded" };
  if (end.kind === "interrupted") return { outcome: "interrupted" };
  const { error } = end;
  if (isSkipped({ error: error.code })) return { outcome: "refused by role" };
  return { outcome: "failed", isRetryable: error.retryable, failure: error };
}
