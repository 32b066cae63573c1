/** What a prediction of a restore rests on, in words. */
export function predictedFrom(calibratedBy: number): string {
  if (calibratedBy === 0) return "by what another machine did: `restore --test` shows what this one does";
  return `by the last ${calibratedBy === 1 ? "restore" : `${calibratedBy} restores`} of this region`;
}
