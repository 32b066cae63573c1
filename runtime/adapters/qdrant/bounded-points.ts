/** Asks for points whose sizes nobody knows: an answer that grows too long is given up, and fewer points are asked for at once. */
import type { IncomingMessage } from "node:http";
import { PointReader, type ReadPoint } from "../../domain/qdrant/point-reader.ts";
import { DrError } from "../../errors.ts";
import type { PointId, SketchedPoint } from "../../ports/qdrant.ts";

/** Bytes of an answer of several points: Qdrant holds it whole before it sends it. */
const longestAnswer = 8 * 1024 * 1024;
/** Points that are asked for while nobody knows how large those of the collection are. */
const firstBatch = 8;
/** Bytes of a point as JSON: a larger one is not read. */
const largestPoint = 128 * 1024 * 1024;

export interface BoundedQuestion {
  readonly ids: readonly PointId[];
  /** No further points are asked for when so many bytes came. */
  readonly withinBytes: number;
  /** How many points fit into an answer, as it turned out before. */
  readonly batch: number | undefined;
  /** Asks for these, or for the first of them where no more may be asked for. */
  ask(ids: readonly PointId[]): Promise<{ readonly asked: readonly PointId[]; readonly answer: IncomingMessage }>;
  /** Hears how many fit. */
  onBatch(size: number): void;
  readonly what: string;
}

export async function* boundedPoints(question: BoundedQuestion): AsyncGenerator<SketchedPoint> {
  let rest = question.ids;
  let size = question.batch ?? firstBatch;
  let read = 0;
  while (rest.length > 0 && read < question.withinBytes) {
    const { answer: stream, asked: batch } = await question.ask(rest.slice(0, size));
    const limit = batch.length === 1 ? largestPoint : longestAnswer;
    const answered = new Set<PointId>();
    const answer = new AnswerReader(stream, question.what);
    for await (const point of answer.points(limit)) {
      answered.add(point.id);
      yield point;
    }
    read += answer.bytes;
    size = sizeAfter(answer, answered.size, batch.length);
    question.onBatch(size);
    // What is not there is not answered.
    if (!answer.isCut) rest = rest.slice(batch.length);
    else if (batch.length > 1) rest = rest.filter((id) => !answered.has(id));
    else {
      yield* batch.map((id) => ({ id, isTooLarge: true as const }));
      rest = rest.slice(1);
    }
  }
}

/** Half of what would fit if all points were of one size; less than before after an answer that was too long. */
function sizeAfter({ bytes, isCut }: AnswerReader, answered: number, batch: number): number {
  if (isCut) return Math.max(1, Math.floor(Math.min(answered, batch) / 2));
  return Math.max(1, Math.floor((longestAnswer / 2) * (Math.max(1, answered) / bytes)));
}

class AnswerReader {
  readonly #answer: IncomingMessage;
  readonly #what: string;
  bytes = 0;
  isCut = false;

  constructor(answer: IncomingMessage, what: string) {
    this.#answer = answer;
    this.#what = what;
  }

  async *points(limit: number): AsyncGenerator<ReadPoint> {
    const reader = new PointReader();
    try {
      for await (const chunk of this.#answer as AsyncIterable<Buffer>) {
        this.bytes += chunk.length;
        yield* reader.read(chunk);
        this.isCut = this.bytes > limit;
        if (this.isCut) return;
      }
      reader.end();
    } catch (cause) {
      throw this.#translated(cause);
    } finally {
      this.#answer.destroy();
    }
  }

  #translated(cause: unknown): unknown {
    if (cause instanceof DrError || !(cause instanceof Error)) return cause;
    if (cause instanceof SyntaxError) {
      return new DrError("ANSWER_UNREADABLE", `${this.#what} cannot be read: ${cause.message}`, {
        hint: "check that it comes from the server itself, in a version that this release knows",
        cause,
      });
    }
    return new DrError("UNREACHABLE", `${this.#what}: the connection broke off (${cause.message})`, {
      hint: "check that Qdrant runs, and what stands between",
      cause,
    });
  }
}
