/** Puts together what `serve` works with. */
import { newId } from "../../domain/identifier.ts";
import type { Schedule } from "../../domain/schedule/schedules-of.ts";
import type { AlertReceiver, Heartbeat } from "../../ports/alert-receiver.ts";
import type { Clock } from "../../ports/clock.ts";
import type { LocalNote } from "../../ports/local-note.ts";
import type { OwnCommands } from "../../ports/own-commands.ts";
import type { Progress } from "../../ports/progress.ts";
import type { Runner } from "../../ports/runner.ts";
import { AlertRecords } from "../../repository/control/alert-records.ts";
import { ScheduleRecords } from "../../repository/control/schedule-records.ts";
import { unreadableReporter } from "../name-unreadable.ts";
import type { RegionSession } from "../region-session.ts";
import { AlertDesk } from "./alert-desk.ts";
import { ServeSchedules } from "./serve-schedules.ts";

/** A store that is silent for longer is asked again at the next look. */
const storePatienceMs = 15_000;

export interface ServeSetting {
  readonly session: RegionSession;
  readonly schedules: readonly Schedule[];
  readonly receivers: readonly AlertReceiver[];
  readonly heartbeat: Heartbeat | undefined;
  readonly note: LocalNote;
  readonly commands: OwnCommands;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly toolVersion: string;
}

export function openServe({ note, receivers, runner, session, ...rest }: ServeSetting): ServeSchedules {
  const { clock, progress } = rest;
  const { region } = session.region;
  const { control } = session.withPatience(storePatienceMs).stores;
  const process = { id: newId(clock.now()), runner };
  const reportUnreadable = unreadableReporter(progress);
  const records = new AlertRecords(control, process, reportUnreadable);
  return new ServeSchedules({
    ...rest,
    region,
    control,
    records: new ScheduleRecords(control, process, clock, reportUnreadable),
    desk: new AlertDesk({ region, records, receivers, note, clock, progress }),
  });
}
