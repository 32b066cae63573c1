/** Tries out what a store must do before anything is kept there: create and never replace, read back, list. It leaves two small objects. */
import { controlLayout } from "../domain/recovery-points/store-layout.ts";
import { DrError, toDrError } from "../errors.ts";
import type { ObjectStore } from "../ports/object-store.ts";

/** What is tried, in this order, in words. */
export const storeChecks = {
  create: "takes an object",
  read: "gives it back, whole and in part",
  "create-only": "never replaces an object that is there",
  race: "lets one of several win who create one object at once",
  list: "lists what it took",
} as const;
export type StoreCheck = keyof typeof storeChecks;

export interface StoreProbe {
  readonly passed: readonly StoreCheck[];
  /** The first check that was not passed, and why. Those after it were not tried. */
  readonly failed?: { readonly check: StoreCheck; readonly problem: DrError };
}

const creatorsAtOnce = 8;

/**
 * Never throws for what the store refuses or does wrong.
 * @param control the control store, which small records are in.
 * @param id of this probe alone.
 */
export async function probeStore(control: ObjectStore, id: string): Promise<StoreProbe> {
  const keptKey = controlLayout.probe(id, "kept");
  const racedKey = controlLayout.probe(id, "raced");
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
    async list() {
      const listed = new Map<string, number>();
      for await (const { key, size } of control.list(controlLayout.probesOf(id))) listed.set(key, size);
      const isListed = [keptKey, racedKey].every((key) => listed.get(key) === kept.length);
      if (!isListed || listed.size !== 2) throw unfit("lists other objects than it took");
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

const checks = ["create", "read", "create-only", "race", "list"] as const satisfies readonly StoreCheck[];

function unfit(what: string): DrError {
  return new DrError("NOT_SUPPORTED", `the store ${what}`, {
    hint: "use AWS S3, another S3 server with conditional writes, or a folder on a local disk: recovery points rest on objects that are never replaced",
  });
}
