/** The page of the format tells a stranger all that a reader needs: each member of each stored object. */
import { readFileSync } from "node:fs";
import { expect } from "chai";
import { z } from "zod";
import { capturePartSchema, capturePlanSchema } from "../../runtime/domain/recovery-points/capture-plan.ts";
import { collectionFactsSchema } from "../../runtime/domain/recovery-points/collection-facts.ts";
import { folderTreeSchema } from "../../runtime/domain/recovery-points/folder-tree.ts";
import { newKey, serialiseKey } from "../../runtime/domain/recovery-points/key.ts";
import {
  attestationSchema,
  recoveryPointSchema,
  repositorySchema,
} from "../../runtime/domain/recovery-points/recovery-point.ts";
import { shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";

const page = readFileSync(new URL("../../docs/reference/store-format.md", import.meta.url), "utf8");
const schemas: Readonly<Record<string, z.ZodType>> = {
  "repository.json": repositorySchema,
  "a manifest": recoveryPointSchema,
  "a shard's tree": shardTreeSchema,
  "a folder's tree": folderTreeSchema,
  facts: collectionFactsSchema,
  "an attestation": attestationSchema,
  "a session's plan": capturePlanSchema,
  "a part of a session": capturePartSchema,
};

/** Names of all members, however deep. */
function membersIn(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([name, value]) =>
    name === "properties"
      ? [...Object.keys(value as object), ...Object.values(value as object).flatMap(membersIn)]
      : membersIn(value),
  );
}

describe("the page of the store's format", () => {
  for (const [name, schema] of Object.entries(schemas)) {
    it(`names each member of ${name}`, () => {
      const members = membersIn(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }));
      expect(members).to.not.be.empty;
      expect(members.filter((member) => !page.includes(`\`${member}\``))).to.deep.equal([]);
    });
  }

  it("names each member of a data key", () => {
    const members = Object.keys(JSON.parse(serialiseKey(newKey("repository"))) as object);
    expect(members.filter((member) => !page.includes(`\`${member}\``))).to.deep.equal([]);
  });
});
