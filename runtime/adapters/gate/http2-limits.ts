/** How much of HTTP/2 is under way at once, towards clients and towards Qdrant. */
import type { Settings } from "node:http2";

/** Enough for a batch of points to be sent without waiting; more would be memory for each client that reads slowly. */
export const http2Settings: Settings = { initialWindowSize: 1024 * 1024, enablePush: false };
export const connectionWindow = 4 * 1024 * 1024;
/** Node refuses streams of a connection that holds more than this. */
export const sessionMemoryMb = 64;
