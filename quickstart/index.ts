/**
 * What the command line takes of the quickstart. The Pulumi program takes `components/` beside it: whoever loads this does not load
 * Pulumi's SDK.
 */
export { quickstart } from "./command/quickstart.ts";
export { openKeptEstate } from "./kept-estate.ts";
