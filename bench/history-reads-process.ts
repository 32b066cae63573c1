/** A process of its own for the reads of a large history: its memory is one of the figures. */
import { measureHistoryReads } from "../test/support/estates/large-history.ts";

process.stdout.write(JSON.stringify(await measureHistoryReads(100_000)));
