/** The right to change a standby, and what is known of it. Of several runs that replicate, the one that began last has it. */
import { randomUUID } from "node:crypto";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { EpochReader } from "../../repository/control/epochs.ts";
import { findLivingFailover } from "../../repository/control/failover-records.ts";
import {
  knowledgeSinceActive,
  readStandbyKnowledge,
  type StandbyKnowledge,
  StandbyRecords,
} from "../../repository/control/standby-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { waitAtMost } from "../../time/wait-until.ts";

/** What another run was sending when it was overtaken has been taken in, or refused, by then. */
const overtakenEnds = { withinMs: 3_000, everyMs: 200 };
/** Something that was begun longer ago than this is not being sent any more. */
const sendsWithinMs = 10 * 60_000;

export interface TurnRequest {
  /** The standby's. */
  readonly repository: OpenRepository;
  readonly region: string;
  /** The epoch that a failover to the region makes: "next", or one that it may have claimed already. */
  readonly failover?: "next" | number | undefined;
  readonly clock: Clock;
}

/** Reads what is known of a standby, and all epochs but the failover's own. */
export async function readKnowledge(
  { clock, failover, region, repository }: TurnRequest,
  reader = new EpochReader(repository.stores.control),
): Promise<{ readonly knowledge: StandbyKnowledge; readonly epochs: readonly EpochRecord[] }> {
  const { control } = repository.stores;
  const epochs = before(failover, await reader.list());
  const { held, ...rest } = knowledgeSinceActive(await readStandbyKnowledge(control, clock.now()), region, epochs);
  // The record of a region that stepped down lets its replication replace what it held. A failover back would replace it with something older.
  const isOwnPast = typeof failover === "number" && held?.region === region;
  return { knowledge: { ...rest, ...(held === undefined || isOwnPast ? {} : { held }) }, epochs };
}

function before(failover: TurnRequest["failover"], epochs: readonly EpochRecord[]): readonly EpochRecord[] {
  return epochs.filter(({ epoch }) => typeof failover !== "number" || epoch < failover);
}

export class StandbyTurn {
  readonly records: StandbyRecords;
  knowledge: StandbyKnowledge;
  readonly #request: TurnRequest;
  readonly #reader: EpochReader;
  #epochs: readonly EpochRecord[];

  private constructor(
    request: TurnRequest,
    records: StandbyRecords,
    reader: EpochReader,
    { epochs, knowledge }: Awaited<ReturnType<typeof readKnowledge>>,
  ) {
    this.#request = request;
    this.records = records;
    this.#reader = reader;
    this.knowledge = knowledge;
    this.#epochs = epochs;
  }

  /**
   * Whoever replicated before stops; what it was sending is waited for. Throws EPOCH_CONFLICT while a failover to the region is
   * under way, which nothing but another run of it overtakes, and for replication ROLE_REFUSES when the region is the active one.
   */
  static async take(request: TurnRequest): Promise<StandbyTurn> {
    const { clock, failover, region, repository } = request;
    const { control } = repository.stores;
    const records = new StandbyRecords(control, randomUUID());
    const reader = new EpochReader(control);
    const at = clock.now().toISOString();
    if (failover === undefined) await records.takeTurn({ at }, () => refuseWhileFailingOver(request, reader));
    else {
      const epoch = newestEpoch(before(failover, await reader.list()))?.epoch ?? 0;
      await records.takeTurn({ at, failover: epoch + 1 });
    }
    const look = async () => {
      const known = await readKnowledge(request, reader);
      // A failover may have claimed its epoch since it was asked for.
      if (failover === undefined) refuseActive(region, known.epochs);
      return known;
    };
    const settled = await waitAtMost(clock, overtakenEnds, async () => {
      const known = await look();
      const { begunAt } = known.knowledge;
      const mayBeSending = begunAt !== undefined && clock.now().getTime() - Date.parse(begunAt) < sendsWithinMs;
      return mayBeSending ? undefined : known;
    });
    return new StandbyTurn(request, records, reader, settled ?? (await look()));
  }

  /**
   * Throws ROLE_REFUSES when the region is the active one, and EPOCH_CONFLICT when another region than the captured one has
   * been active since the capture: its clients' writes are not in this state.
   */
  async refuseOfEndedEpoch({ epoch, id, region }: RecoveryPoint): Promise<void> {
    this.#epochs = await this.#reader.follow();
    refuseActive(this.#request.region, this.#epochs);
    const other = this.#epochs.find((record) => record.epoch > epoch && record.active !== region);
    if (other === undefined) return;
    throw new DrError(
      "EPOCH_CONFLICT",
      `${id} is of ${region} in epoch ${epoch}, and ${other.active} was active since`,
      {
        hint: "nothing was changed; wait for a state that was captured since",
      },
    );
  }

  /** To be awaited before the standby is changed: whatever happens then, what was begun is recognised. */
  async begin(making: readonly string[]): Promise<void> {
    const at = this.#request.clock.now();
    const known = this.knowledge.making.filter(({ name }) => !making.includes(name));
    const epoch = newestEpoch(this.#epochs)?.epoch ?? 0;
    const all = [...known, ...making.map((name) => ({ name, epoch }))];
    await this.records.begin(at, all);
    this.knowledge = { ...this.knowledge, begunAt: at.toISOString(), making: all };
  }

  /** Records a sign of life. A failure is ignored: a run that then takes this one for dead still has to take the next turn. */
  heartbeat(): void {
    this.records.begin(this.#request.clock.now(), this.knowledge.making).catch(() => undefined);
  }
}

/** Throws ROLE_REFUSES from the moment on in which a failover claims its epoch, and EPOCH_CONFLICT before it. */
async function refuseWhileFailingOver({ clock, region, repository }: TurnRequest, reader: EpochReader): Promise<void> {
  const epochs = await reader.list();
  refuseActive(region, epochs);
  const epoch = (newestEpoch(epochs)?.epoch ?? 0) + 1;
  const run = await findLivingFailover(repository.stores.control, epoch, clock);
  if (run === undefined) return;
  throw new DrError("EPOCH_CONFLICT", `a failover to ${region} is under way (epoch ${epoch}, run ${run})`, {
    hint: "it replicates by itself; let it end",
  });
}

/** Throws ROLE_REFUSES. */
function refuseActive(region: string, epochs: readonly EpochRecord[]): void {
  const newest = newestEpoch(epochs);
  if (newest?.active !== region) return;
  throw new DrError("ROLE_REFUSES", `${region} is the active region since epoch ${newest.epoch}, and no standby`, {
    hint: "replicate from it to the other region; `qdrant-dr status` shows the roles",
  });
}
