/** What people are told when something goes wrong, and when it goes well again. */
import { z } from "zod";
import { oneLine } from "../one-line.ts";
import { type ScheduledKind, scheduledKinds } from "../schedule/scheduled-kinds.ts";

/** What can be wrong: the store, or the runs of one kind. Of each, one problem at most is told until it is over. */
export const subjects = ["store", ...scheduledKinds] as const satisfies readonly ("store" | ScheduledKind)[];
export type Subject = (typeof subjects)[number];

const alertEvents = ["failure", "silence", "recovery"] as const;

const line = z.string().max(500);

export const alertSchema = z.object({
  event: z.enum(alertEvents),
  subject: z.enum(subjects),
  region: z.string(),
  at: z.iso.datetime(),
  /** One sentence. */
  title: line,
  /** Why, as far as it is known. */
  message: line.optional(),
  /** What to do now. */
  hint: line.optional(),
});
export type Alert = z.infer<typeof alertSchema>;

/** What is found of a subject at one look; a subject that nothing is known of is not among the findings. */
export type Finding =
  | { readonly subject: Subject; readonly isWell: true; readonly title: string }
  | {
      readonly subject: Subject;
      readonly isWell: false;
      readonly event: "failure" | "silence";
      readonly title: string;
      readonly message?: string | undefined;
      readonly hint?: string | undefined;
    };

/** The alerts that are news: a problem that is not open, and the end of one that is. */
export function alertsOf(
  findings: readonly Finding[],
  open: ReadonlySet<Subject>,
  { at, region }: { readonly region: string; readonly at: Date },
): Alert[] {
  const common = { region, at: at.toISOString() };
  return findings
    .filter(({ isWell, subject }) => isWell === open.has(subject))
    .map((finding) => {
      const { subject } = finding;
      if (finding.isWell) return { ...common, subject, event: "recovery", title: bounded(finding.title) };
      const { event, hint, message, title } = finding;
      return {
        ...common,
        subject,
        event,
        title: bounded(title),
        ...(message === undefined ? {} : { message: bounded(message) }),
        ...(hint === undefined ? {} : { hint: bounded(hint) }),
      };
    });
}

/** Whether who knows these problems knows what the alert says. */
export function isKnown(open: ReadonlySet<Subject>, { event, subject }: Pick<Alert, "event" | "subject">): boolean {
  return open.has(subject) === (event !== "recovery");
}

/** The problems that are open after this alert. */
export function openAfter(open: ReadonlySet<Subject>, { event, subject }: Pick<Alert, "event" | "subject">) {
  const others = [...open].filter((each) => each !== subject);
  return new Set(event === "recovery" ? others : [...others, subject]);
}

function bounded(text: string): string {
  return oneLine(text, 500);
}
