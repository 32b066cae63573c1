import * as pulumi from "@pulumi/pulumi";
import type { ExistingQdrant } from "../../runtime/domain/settings/kubernetes-settings.ts";
import type { QdrantCluster } from "./qdrant-cluster.ts";

/** A region's Qdrant, whoever made it. */
export type RegionQdrant = Pick<QdrantCluster, "urls" | "serviceUrl" | "apiKey">;

/** A Qdrant that is there already: nothing is declared of it. */
export function existingQdrant({ serviceUrl, urls }: ExistingQdrant, apiKey: pulumi.Output<string>): RegionQdrant {
  return { urls: pulumi.output([...urls]), serviceUrl: pulumi.output(serviceUrl), apiKey };
}
