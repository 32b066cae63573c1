/** The input and the answer of rules: plain values, so that they run over any stack's resources. */

// biome-ignore lint/suspicious/noExplicitAny: inputs of any resource, looked into by path
export type Props = Readonly<Record<string, any>>;

export interface DeclaredResource {
  readonly urn: string;
  /** Pulumi's type, such as `aws:s3/bucket:Bucket`. */
  readonly type: string;
  readonly name: string;
  readonly props: Props;
  readonly isProtected: boolean;
  /** AWS region of its provider, where it has one that says so. */
  readonly region?: string | undefined;
}

export interface Violation {
  readonly resource: DeclaredResource;
  readonly message: string;
}

export interface Rule {
  readonly name: string;
  readonly description: string;
  violations(resources: readonly DeclaredResource[]): Violation[];
}

export function ofType(resources: readonly DeclaredResource[], ...types: readonly string[]): DeclaredResource[] {
  return resources.filter(({ type }) => types.includes(type));
}

/** A rule that looks at each resource of some types by itself. */
export function eachOf(
  types: readonly string[],
  problems: (resource: DeclaredResource, all: readonly DeclaredResource[]) => readonly string[],
): Rule["violations"] {
  return (resources) =>
    ofType(resources, ...types).flatMap((resource) =>
      problems(resource, resources).map((message) => ({ resource, message })),
    );
}

/** A rule that looks at each resource, of whatever type. */
export function ofAll(problems: (resource: DeclaredResource) => readonly string[]): Rule["violations"] {
  return (resources) => resources.flatMap((resource) => problems(resource).map((message) => ({ resource, message })));
}

/** `message` unless `holds`. */
export function unless(holds: boolean, message: string): string[] {
  return holds ? [] : [message];
}
