/** Proves that both kinds of stack keep every rule of the policy pack. That the engine runs the pack is proven in test/engine. */
import { expect } from "chai";
import { rules } from "../../../policy/rules.ts";
import { told } from "../../support/stacks/policy-changes.ts";
import { policyStacks } from "../../support/stacks/policy-stacks.ts";

describe("policy: stacks", () => {
  for (const stack of ["foundation", "region"] as const) {
    it(`the ${stack} keeps every rule`, async () => {
      const { [stack]: resources } = await policyStacks();
      expect(resources.length).to.be.greaterThan(20);
      expect(told(resources)).to.deep.equal([]);
    });
  }

  it("no two rules have the same name", () => {
    const names = rules.map(({ name }) => name);
    expect(new Set(names).size).to.equal(names.length);
  });
});
