/** The right to change a standby, and what is known of it. Of several runs that replicate, the one that began last has it. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { findLivingFailover } from "../../repository/control/failover-records.ts";
import {
  newsSinceActive,
  readStandbyNews,
  type StandbyNews,
  StandbyRecords,
} from "../../repository/control/standby-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";

/** What another run was sending when it was overtaken has been taken in, or refused, by then. */
const overtakenEndsWithinMs = 3_000;
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

/** What is known of a standby, and the newest epoch but the failover's own. */
export async function readNews({
  clock,
  failover,
  region,
  repository,
}: TurnRequest): Promise<{ readonly news: StandbyNews; readonly epoch: number }> {
  const { control } = repository.stores;
  const epochs = await epochsBefore(control, failover);
  const news = newsSinceActive(await readStandbyNews(control, clock.now()), region, epochs);
  return { news, epoch: newestEpoch(epochs)?.epoch ?? 0 };
}

async function epochsBefore(control: ObjectStoreReader, failover: TurnRequest["failover"]): Promise<EpochRecord[]> {
  return (await readEpochs(control)).filter(({ epoch }) => typeof failover !== "number" || epoch < failover);
}

export class StandbyTurn {
  readonly records: StandbyRecords;
  news: StandbyNews;
  readonly #epoch: number;
  readonly #clock: Clock;

  private constructor(records: StandbyRecords, { epoch, news }: Awaited<ReturnType<typeof readNews>>, clock: Clock) {
    this.records = records;
    this.news = news;
    this.#epoch = epoch;
    this.#clock = clock;
  }

  /**
   * Whoever replicated before stops; what it was sending is waited for. Throws EPOCH_CONFLICT while a failover to the region is
   * under way, which nothing but another run of it overtakes.
   */
  static async take(request: TurnRequest): Promise<StandbyTurn> {
    const { clock, failover, repository } = request;
    const { control } = repository.stores;
    const records = new StandbyRecords(control, randomUUID());
    const at = clock.now().toISOString();
    const epoch = newestEpoch(await epochsBefore(control, failover))?.epoch ?? 0;
    if (failover === undefined) await records.takeTurn({ at }, () => refuseWhileFailingOver(request, epoch + 1));
    else await records.takeTurn({ at, failover: epoch + 1 });
    const deadline = clock.now().getTime() + overtakenEndsWithinMs;
    for (;;) {
      const known = await readNews(request);
      const { begunAt } = known.news;
      const isRecent = begunAt !== undefined && clock.now().getTime() - Date.parse(begunAt) < sendsWithinMs;
      if (!isRecent || clock.now().getTime() >= deadline) return new StandbyTurn(records, known, clock);
      await sleep(200);
    }
  }

  /** To be awaited before the standby is changed: whatever happens then, what was begun is recognised. */
  async begin(making: readonly string[]): Promise<void> {
    const at = this.#clock.now();
    const known = this.news.making.filter(({ name }) => !making.includes(name));
    const all = [...known, ...making.map((name) => ({ name, epoch: this.#epoch }))];
    await this.records.begin(at, all);
    this.news = { ...this.news, begunAt: at.toISOString(), making: all };
  }

  /** As well as possible: whoever misses it takes this run for dead, and is refused or refuses by its turn. */
  sayAgain(): void {
    this.records.begin(this.#clock.now(), this.news.making).catch(() => undefined);
  }
}

/** Throws EPOCH_CONFLICT. */
async function refuseWhileFailingOver({ region, repository }: TurnRequest, epoch: number): Promise<void> {
  const run = await findLivingFailover(repository.stores.control, epoch);
  if (run === undefined) return;
  throw new DrError("EPOCH_CONFLICT", `a failover to ${region} is under way (epoch ${epoch}, run ${run})`, {
    hint: "it replicates by itself; let it end",
  });
}
