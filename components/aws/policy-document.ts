/** IAM's documents, built from plain values. */
import * as pulumi from "@pulumi/pulumi";

export interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: "*" | Readonly<Record<string, string>>;
  readonly Action: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly Statement[];
}

/** The same text for the same statements, so that a second `up` finds no change. */
export function policyJson(statements: readonly Statement[]): string {
  const document: PolicyDocument = { Version: "2012-10-17", Statement: statements };
  return JSON.stringify(document);
}

/** A document that names what is known only when its resource is made. */
export function policyOf<T>(input: pulumi.Input<T>, statements: (value: pulumi.Unwrap<T>) => readonly Statement[]) {
  return pulumi.output(input).apply((value) => policyJson(statements(value)));
}

export function bucketArn(bucket: string): string {
  return `arn:aws:s3:::${bucket}`;
}
