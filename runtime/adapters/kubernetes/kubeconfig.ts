/** The one thing that is used of the official client. */
export { KubeConfig } from "@kubernetes/client-node";
