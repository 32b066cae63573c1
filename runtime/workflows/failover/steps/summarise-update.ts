/** Says what an update of a stack changed, for people. */
export function summariseUpdate(changes: Readonly<Record<string, number>>): string {
  const parts = Object.entries(changes).filter(([, count]) => count > 0);
  return parts.map(([operation, count]) => `${count} ${operation}`).join(", ");
}
