export type Inputs = Readonly<Record<string, unknown>>;

export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}

/** The life of one type of resource. Every method may be killed and called again. */
export interface ResourceKind {
  check(inputs: Inputs): CheckFailure[];
  diff(olds: Inputs, news: Inputs): Promise<{ changes: boolean; replaces?: string[]; deleteBeforeReplace?: boolean }>;
  /** Makes it so, whether it exists or not; facts are what only the world knows. */
  apply(inputs: Inputs): Promise<{ readonly id: string; readonly facts: Inputs }>;
  /** Undefined: it does not exist any more. */
  read(properties: Inputs): Promise<Inputs | undefined>;
  remove(properties: Inputs): Promise<void>;
}
