import { expect } from "chai";
import { refusalIn } from "../../runtime/adapters/pulumi/pulumi-refusals.ts";

describe("what pulumi says when it refuses, in a person's words", () => {
  const wrapped = (line: string) => `code: 255\n stdout: \n stderr: error: ${line}\n`;
  const told: [said: string, code: string, message: RegExp, hint: RegExp][] = [
    ["no stack named 'dr' found", "STACK_NOT_FOUND", /there is no stack dr/, /pulumi stack ls/],
    [
      "the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file.\n  s3://states/.pulumi/locks/organization/qdrant-dr/dr/1.json: created by runner@ci-7 (pid 12) at 2026-10-14T12:03:11Z",
      "PULUMI_FAILED",
      /^stack dr is locked by another update: runner on ci-7, process 12, since 2026-10-14T12:03:11Z$/,
      /pulumi cancel --stack dr/,
    ],
    ["current stack does not have output property 'region'", "PULUMI_FAILED", /never brought up/, /pulumi up/],
    [
      "getting stack configuration: get stack secrets manager: passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables",
      "PULUMI_FAILED",
      /^the secrets of stack dr need a passphrase, and none is set$/,
      /PULUMI_CONFIG_PASSPHRASE_FILE/,
    ],
    [
      "getting stack configuration: get stack secrets manager: incorrect passphrase",
      "PULUMI_FAILED",
      /do not open with the passphrase that is set/,
      /the one that the stack was made with/,
    ],
    [
      "PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
      "PULUMI_FAILED",
      /not known in which state backend/,
      /PULUMI_BACKEND_URL/,
    ],
    [
      'read ".pulumi/meta.yaml": blob (key ".pulumi/meta.yaml") (code=Unknown): operation error S3: GetObject, exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , HostID: , request send failed, Get "http://127.0.0.1:9/b/.pulumi/meta.yaml?x-id=GetObject": dial tcp 127.0.0.1:9: connect: connection refused',
      "PULUMI_FAILED",
      /^the state backend of stack dr cannot be read: connect: connection refused$/,
      /lost/,
    ],
    [
      'unable to open state directory "file:///mnt/x": stat /mnt/x: no such file or directory',
      "PULUMI_FAILED",
      /cannot be read: stat \/mnt\/x: no such file or directory$/,
      /PULUMI_BACKEND_URL/,
    ],
  ];
  for (const [said, code, message, hint] of told) {
    it(said.slice(0, 70), () => {
      const error = refusalIn("dr", wrapped(said));
      expect(error?.code).to.equal(code);
      expect(error?.message).to.match(message);
      expect(error?.hint).to.match(hint);
    });
  }

  it("of anything else nothing: its own words are told then", () => {
    expect(refusalIn("dr", wrapped("SETTING_INVALID: stack dr: initialRole"))).to.equal(undefined);
  });
});
