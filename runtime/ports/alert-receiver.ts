import type { Alert } from "../domain/alerts/alert.ts";

/** What is told: an alert, or that this is a test. */
export type Told = Omit<Alert, "event" | "subject"> & {
  readonly event: Alert["event"] | "test";
  readonly subject: Alert["subject"] | "test";
};

/** Somebody who is told. */
export interface AlertReceiver {
  /** Also in keys of records: letters, digits and hyphens; never a secret. */
  readonly name: string;
  /** Returns when it was taken. Throws UNREACHABLE otherwise, with no secret in the message. */
  tell(told: Told, signal?: AbortSignal): Promise<void>;
}

/** A URL that is called after each good run: whoever watches it notices when no call comes. */
export interface Heartbeat {
  /** Throws UNREACHABLE, with no secret in the message. */
  beat(signal?: AbortSignal): Promise<void>;
}
