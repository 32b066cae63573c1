/** The workers of a capture: one does all of it, or several share the parts, and the last of them commits. */
import type { CapturePart, CapturePlan } from "../../domain/recovery-points/capture-plan.ts";
import type { CaptureType, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { CaptureSession, committedRecoveryPoint, keepSessionAlive } from "../../repository/catalog/capture-session.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { CaptureFacts } from "./capture-facts.ts";
import type { CaptureWorker } from "./capture-request.ts";

export interface CaptureWorkers {
  readonly count: number;
  /** This worker's part, from 0 on. */
  readonly index: number;
  /** The plan that all of them keep to. */
  agree(propose: () => Promise<CapturePlan>): Promise<CapturePlan>;
  /** Writes down what is captured, before anything of it is stored. */
  announce(plan: CapturePlan): Promise<void>;
  /** This worker's part: as it was done before, or as it is done now. */
  part(capture: () => Promise<CapturePart>): Promise<CapturePart>;
  /** Undefined while others have not done theirs. */
  allParts(plan: CapturePlan, own: CapturePart): Promise<readonly CapturePart[] | undefined>;
  commit(plan: CapturePlan, commit: () => Promise<RecoveryPoint>): Promise<RecoveryPoint>;
  /** To be called in the end, however it ends: no more signs of life are given. */
  close(): void;
}

export class SingleWorker implements CaptureWorkers {
  readonly count = 1;
  readonly index = 0;
  readonly #repository: OpenRepository;
  readonly #facts: CaptureFacts;
  readonly #clock: Clock;
  #stopSigns: () => void = () => undefined;

  constructor(repository: OpenRepository, facts: CaptureFacts, clock: Clock) {
    this.#repository = repository;
    this.#facts = facts;
    this.#clock = clock;
  }

  agree(propose: () => Promise<CapturePlan>): Promise<CapturePlan> {
    return propose();
  }

  async announce(plan: CapturePlan): Promise<void> {
    await this.#facts.store();
    await new CaptureSession(this.#repository, plan.recoveryPoint).agree(plan);
    this.#stopSigns = keepSessionAlive(this.#repository, plan.recoveryPoint, () => this.#clock.now());
  }

  part(capture: () => Promise<CapturePart>): Promise<CapturePart> {
    return capture();
  }

  async allParts(_plan: CapturePlan, own: CapturePart): Promise<readonly CapturePart[]> {
    return [own];
  }

  commit(_plan: CapturePlan, commit: () => Promise<RecoveryPoint>): Promise<RecoveryPoint> {
    return commit();
  }

  close(): void {
    this.#stopSigns();
  }
}

export class SharingWorker implements CaptureWorkers {
  readonly count: number;
  readonly index: number;
  readonly #repository: OpenRepository;
  readonly #facts: CaptureFacts;
  readonly #session: CaptureSession;
  readonly #stopSigns: () => void;
  readonly #asked: { readonly region: string; readonly type: CaptureType };

  /** @param asked must be the same for all workers. */
  constructor(
    { count, index, session }: CaptureWorker,
    repository: OpenRepository,
    facts: CaptureFacts,
    asked: { readonly region: string; readonly type: CaptureType },
    clock: Clock,
  ) {
    this.count = count;
    this.index = index;
    this.#repository = repository;
    this.#facts = facts;
    this.#session = new CaptureSession(repository, session);
    this.#stopSigns = keepSessionAlive(repository, session, () => clock.now());
    this.#asked = asked;
  }

  async agree(propose: () => Promise<CapturePlan>): Promise<CapturePlan> {
    const plan = (await this.#session.plan()) ?? (await this.#propose(await propose()));
    const { region, type } = this.#asked;
    if (plan.workers === this.count && plan.type === type && plan.region === region) return plan;
    throw new DrError(
      "USAGE",
      `this session is a ${plan.type} capture of ${plan.region} by ${plan.workers} workers, and another one was asked for`,
      { hint: "give every capture a session name of its own, and all of its workers the same options" },
    );
  }

  async #propose(plan: CapturePlan): Promise<CapturePlan> {
    await this.#facts.store();
    return this.#session.agree(plan);
  }

  /** The plan that they agreed on stands there already. */
  async announce(): Promise<void> {}

  async part(capture: () => Promise<CapturePart>): Promise<CapturePart> {
    const done = await this.#session.part(this.index);
    if (done !== undefined) return done;
    const part = await capture();
    await this.#session.keepPart(part);
    return part;
  }

  async allParts(plan: CapturePlan): Promise<readonly CapturePart[] | undefined> {
    const parts: CapturePart[] = [];
    for (let worker = 0; worker < plan.workers; worker += 1) {
      const part = await this.#session.part(worker);
      if (part === undefined) return undefined;
      parts.push(part);
    }
    return parts;
  }

  async commit(plan: CapturePlan, commit: () => Promise<RecoveryPoint>): Promise<RecoveryPoint> {
    const recoveryPoint = (await this.#committed(plan)) ?? (await this.#commitOnce(plan, commit));
    await this.#session.end(plan);
    return recoveryPoint;
  }

  close(): void {
    this.#stopSigns();
  }

  /** Of several workers that find all parts done, one commits, and the others take its recovery point. */
  async #commitOnce(plan: CapturePlan, commit: () => Promise<RecoveryPoint>): Promise<RecoveryPoint> {
    try {
      return await commit();
    } catch (error) {
      const other = await this.#committed(plan);
      if (other !== undefined) return other;
      throw error;
    }
  }

  #committed(plan: CapturePlan): Promise<RecoveryPoint | undefined> {
    return committedRecoveryPoint(this.#repository, plan.recoveryPoint);
  }
}
