/** The prepared control that moves the public name; it needs no `up`. */
export interface TrafficControl {
  current(): Promise<{ readonly region: string; readonly epoch: number } | undefined>;
  /** Refused with EPOCH_CONFLICT when the control has seen a newer epoch. */
  pointTo(target: { readonly region: string; readonly epoch: number }): Promise<void>;
}
