/** Tries out what a store must do before anything is kept there: create and never replace, read back, list. It leaves small objects. */
import { createHash } from "node:crypto";
import { forEachConcurrently } from "../async/for-each-concurrently.ts";
import { controlLayout } from "../domain/recovery-points/store-layout.ts";
import { DrError, hasCode, toDrError } from "../errors.ts";
import type { ObjectStore } from "../ports/object-store.ts";

/** What is tried, in this order, in words. */
export const storeChecks = {
  create: "takes an object",
  read: "gives it back, whole and in part",
  "create-only": "never replaces an object that is there",
  race: "lets one of several win who create one object at once",
  checksum: "takes no bytes for others: its checksums are of what it keeps",
  list: "lists what it took",
  pages: "lists more than a page of 1,000 names, each once",
} as const;
export type StoreCheck = keyof typeof storeChecks;

/** Those that cost a few requests: before the first object is kept. */
export const quickChecks = ["create", "read", "create-only", "race", "checksum", "list"] as const;
export const allChecks = [...quickChecks, "pages"] as const satisfies readonly StoreCheck[];

export interface StoreProbe {
  readonly passed: readonly StoreCheck[];
  /** The first check that was not passed, and why. Those after it were not tried. */
  readonly failed?: { readonly check: StoreCheck; readonly problem: DrError };
}

const creatorsAtOnce = 8;
const namesInPage = 1_000;
const pagedAtOnce = 32;

/**
 * Never throws for what the store refuses or does wrong.
 * @param control the control store, which small records are in.
 * @param id of this probe alone.
 */
export async function probeStore(
  control: ObjectStore,
  id: string,
  checks: readonly StoreCheck[] = quickChecks,
): Promise<StoreProbe> {
  const keptKey = controlLayout.probe(id, "kept");
  const racedKey = controlLayout.probe(id, "raced");
  const changedKey = controlLayout.probe(id, "changed");
  const wanted = [keptKey, racedKey];
  const texts = Array.from({ length: creatorsAtOnce }, (_, index) => Buffer.from(`probe ${index} of ${id}\n`));
  const [kept = Buffer.alloc(0), other = kept] = texts;
  const attempts: Readonly<Record<StoreCheck, () => Promise<void>>> = {
    async create() {
      await control.create(keptKey, kept);
    },
    async read() {
      const whole = await control.get(keptKey);
      if (!whole.equals(kept)) throw unfit("gives back other bytes than it took");
      const part = await control.get(keptKey, { offset: 2, length: 5 });
      if (!part.equals(kept.subarray(2, 7))) throw unfit("gives back another part of an object than was asked for");
    },
    async "create-only"() {
      const answer = await control.create(keptKey, other);
      const isKept = (await control.get(keptKey)).equals(kept);
      if (answer === "created" || !isKept) throw unfit("replaces objects: it ignores If-None-Match");
    },
    async race() {
      const answers = await Promise.all(texts.map((text) => control.create(racedKey, text)));
      const found = await control.get(racedKey);
      const winners = texts.filter((_, index) => answers[index] === "created");
      // Whose answer was lost repeats, and takes its own object for another's.
      if (winners.length > 1 || winners.some((text) => !text.equals(found)))
        throw unfit("lets several succeed who create one object at once");
    },
    async checksum() {
      const kind =
        "keeps checksums that are not of its bytes: what is damaged on its way, or later, would pass for whole";
      const sum = await control.checksumOf(keptKey);
      if (sum !== undefined && sum !== sha256Of(kept)) throw unfit(kind);
      const announced = sha256Of(other);
      // As if a byte had changed on the way. A store that nothing lies before may take it, as long as it says what it has.
      const isTaken = await control.create(changedKey, kept, announced).then(
        () => true,
        (error: unknown) => {
          if (hasCode(error, "STORE_REFUSED", "OBJECT_CORRUPT")) return false;
          throw error;
        },
      );
      if (isTaken) wanted.push(changedKey);
      if (isTaken && (await control.checksumOf(changedKey)) === announced) throw unfit(kind);
    },
    async list() {
      const listed = new Map<string, number>();
      for await (const { key, size } of control.list(controlLayout.probesOf(id))) listed.set(key, size);
      const isListed = wanted.every((key) => listed.get(key) === kept.length);
      if (!isListed || listed.size !== wanted.length) throw unfit("lists other objects than it took");
    },
    async pages() {
      // Always the same objects: the next probe finds them there.
      const paged = Array.from({ length: namesInPage + 1 }, (_, index) => controlLayout.pagedProbe(index));
      await forEachConcurrently(pagedAtOnce, paged, async (key) => {
        await control.create(key, Buffer.from("listed\n"));
      });
      const listed: string[] = [];
      for await (const { key } of control.list(controlLayout.pagedProbes)) listed.push(key);
      const found = new Set(listed);
      if (found.size !== listed.length || !paged.every((key) => found.has(key)))
        throw unfit(`lists ${found.size} of ${paged.length} names, or some twice`);
    },
  };
  const passed: StoreCheck[] = [];
  for (const check of checks) {
    try {
      await attempts[check]();
      passed.push(check);
    } catch (error) {
      return { passed, failed: { check, problem: toDrError(error) } };
    }
  }
  return { passed };
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function unfit(what: string): DrError {
  return new DrError("NOT_SUPPORTED", `the store ${what}`, {
    hint: "use AWS S3, another S3 server with conditional writes, or a folder on a local disk: recovery points rest on objects that are never replaced",
  });
}
