/** Whether this is a proof (`npm run prove`), which tries everything that the suite takes a sample of. */
export const isProof = process.env["QDRANT_DR_PROVE"] !== undefined;

/** How many of something a test tries: what its variable says, or few in the suite and more in a proof. */
export function howMany(
  variable: string,
  { suite, proof }: { readonly suite: number; readonly proof: number },
): number {
  return Number(process.env[variable] ?? (isProof ? proof : suite));
}
