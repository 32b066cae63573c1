/** Makes identities, whose holders open data keys. */
export interface Identities {
  make(): Promise<string>;
  /** What data keys are wrapped for, so that the identity opens them. Throws SETTING_INVALID for what is none. */
  recipientOf(identity: string): Promise<string>;
}
