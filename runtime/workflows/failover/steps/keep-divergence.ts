import { formatCount } from "../../../domain/format.ts";
import { findDivergence, keepDivergence } from "../report-divergence.ts";
import type { Step, SwitchoverContext } from "./step.ts";

/** Before replication replaces the past of a region that was lost in a failover: some writes may be nowhere else. */
export const keepDivergenceStep: Step<SwitchoverContext> = {
  name: "divergence",
  title: "Record the points that only this region holds",
  repeat: "once",
  applies: ({ plan }) => plan.past === "diverged",
  async run({ plan, request }) {
    const { active, clock, database, repository } = request;
    const found = await findDivergence(database, active.database);
    if (found.length === 0) return `everything that ${plan.region} holds is in ${plan.from}, too`;
    const count = found.reduce((sum, { different, onlyThere }) => sum + different.length + onlyThere.length, 0);
    const key = await keepDivergence(repository.stores.control, {
      epoch: plan.epoch,
      run: request.run,
      at: clock.now(),
      collections: found,
    });
    return `${formatCount(count)} points of ${found.map(({ name }) => name).join(", ")} are only or otherwise in ${plan.region}: kept in its control store as ${key}`;
  },
};
