import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { AwsFoundation } from "../components/aws/aws-foundation.ts";
import { readGivenSettings } from "../components/read-settings.ts";
import { type BootstrapSettings, parseBootstrapSettings } from "../runtime/domain/settings/aws-settings.ts";

function readSettings(): BootstrapSettings {
  try {
    return parseBootstrapSettings(pulumi.getStack(), readGivenSettings());
  } catch (error) {
    throw new pulumi.RunError((error as Error).message);
  }
}

const settings = readSettings();
const providers = Object.fromEntries(
  Object.entries(settings.regions).map(([name, { region }]) => [
    name,
    new aws.Provider(`aws-${name}`, { region: region as aws.Region, allowedAccountIds: [settings.account] }),
  ]),
);
const foundation = new AwsFoundation("qdrant-dr", { settings, providers });

/** Of each region, what its own stack is configured with. */
export const regions = foundation.regions;
/** The region that the first epoch record names. */
export const initialActive = settings.initialActive;
