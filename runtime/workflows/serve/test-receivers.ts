import { toDrError } from "../../errors.ts";
import type { AlertReceiver, Heartbeat } from "../../ports/alert-receiver.ts";

export interface TestedReceiver {
  readonly receiver: string;
  readonly isTaken: boolean;
  readonly problem?: string;
}

/** Sends a test message to everybody who would be told, and calls the heartbeat URL; says of each whether it was taken. */
export async function testReceivers(
  { heartbeat, receivers }: { readonly receivers: readonly AlertReceiver[]; readonly heartbeat: Heartbeat | undefined },
  region: string,
  now: Date,
): Promise<TestedReceiver[]> {
  const told = {
    event: "test",
    subject: "test",
    region,
    at: now.toISOString(),
    title: "this is a test",
    message: "Nothing is wrong. Problems of this region are told here.",
  } as const;
  const asked = receivers.map((receiver) => ({ name: receiver.name, ask: () => receiver.tell(told) }));
  const all = [...asked, ...(heartbeat === undefined ? [] : [{ name: "heartbeat", ask: () => heartbeat.beat() }])];
  return Promise.all(
    all.map(async ({ ask, name }) => {
      try {
        await ask();
        return { receiver: name, isTaken: true };
      } catch (error) {
        return { receiver: name, isTaken: false, problem: toDrError(error).message };
      }
    }),
  );
}
