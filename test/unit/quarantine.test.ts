/** Which findings count, and what a person says of a recovery point whatever was said of it before. */
import { expect } from "chai";
import { type Finding, findingsAbout, standingQuarantines } from "../../runtime/domain/recovery-points/quarantine.ts";
import type { Attestation } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { attest } from "../../runtime/repository/catalog/attest.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { quarantineRecoveryPoint, releaseRecoveryPoint } from "../../runtime/workflows/quarantine-recovery-point.ts";
import { makeRecoveryPoint } from "../support/estates/made-recovery-point.ts";
import { ageKeys, storesWithEpoch } from "../support/estates/recovery-estate.ts";
import { codeOf } from "../support/expect-code.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const now = new Date("2026-01-31T12:00:00.000Z");
const since = (ms: number) => new Date(now.getTime() + ms);
const hourMs = 3_600_000;

describe("doubts of a recovery point", () => {
  const about = { recoveryPoint: "id", region: "east", detail: "", at: now.toISOString() };
  const cases: [what: string, type: "full" | "incremental", storedAt: Date | undefined, isCounted: boolean][] = [
    ["an incremental one, whenever", "incremental", since(100 * hourMs), true],
    ["a full one, within the hour after it was stored", "full", since(hourMs), true],
    ["a full one, later", "full", since(hourMs + 1), false],
    ["a full one, before it was there", "full", since(-1), false],
    ["a full one, where the store tells no times", "full", undefined, false],
  ];
  for (const [what, type, storedAt, isCounted] of cases) {
    it(`${what}: they ${isCounted ? "count" : "do not count"}`, () => {
      const doubt: Finding = { ...about, kind: "doubted", storedAt };
      const found = findingsAbout({ id: "id", type }, [doubt], { storedAt: now });
      expect(standingQuarantines(found)).to.have.length(isCounted ? 1 : 0);
    });
  }
});

describe("what a person says of a recovery point", () => {
  const prepared = async (kind: Attestation["kind"], at: Date, damaged?: string[]) => {
    const repository = await OpenRepository.openOrCreate(storesWithEpoch(), (await ageKeys()).wrap);
    const id = await makeRecoveryPoint(repository, now);
    const finding = { at, region: "west", detail: "found", ...(damaged === undefined ? {} : { damaged }) };
    await attest(repository, kind, await repository.readRecoveryPoint(id), finding);
    const session = { repository: async () => repository, region: { region: "east" } };
    return { session, clock: clockShowing(() => now), id, because: "a person says so" };
  };
  const said = (attestations: readonly Attestation[]) =>
    attestations.filter(({ detail }) => detail === "a person says so").map(({ kind }) => kind);

  for (const [kind, damaged] of [
    ["folders-quarantined", undefined],
    ["quarantined", ["packs/x"]],
  ] as const) {
    it(`a quarantine is recorded beside one for ${damaged === undefined ? "its folders" : "damage"}, once`, async () => {
      const judgement = await prepared(kind, now, damaged && [...damaged]);
      for (let time = 0; time < 2; time += 1) {
        const { attestations, state } = await quarantineRecoveryPoint(judgement);
        expect([state, said(attestations)]).to.deep.equal(["quarantined", ["quarantined"]]);
      }
    });
  }

  it("a release lifts what was said by a clock that is a little ahead", async () => {
    const { attestations, state } = await releaseRecoveryPoint(await prepared("quarantined", since(9 * 60_000)));
    expect([state, said(attestations)]).to.deep.equal(["complete", ["released"]]);
  });

  it("a release that cannot lift what was said at a time to come is an error", async () => {
    const released = releaseRecoveryPoint(await prepared("quarantined", since(hourMs)));
    expect(await codeOf(released)).to.equal("RECOVERY_POINT_INCOMPLETE");
  });
});
