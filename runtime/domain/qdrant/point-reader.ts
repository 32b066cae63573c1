/** Reads points from the answer that holds them, as it comes: of each its id, digests of its content, and its short dense vectors. */
import { JsonDigest } from "../json-digest.ts";
import { type JsonEvents, JsonTokenizer } from "../json-tokens.ts";

/** A longer vector is no question: each stands in the recovery point. */
const longestVector = 16_384;
/** Searches that one point can be the question of. */
const mostVectors = 8;

export interface DenseVector {
  /** Absent for the unnamed one. */
  readonly using?: string;
  readonly vector: readonly number[];
}

export interface ReadPoint {
  readonly id: number | bigint | string;
  /** One text for equal content. */
  readonly content: string;
  readonly vectors: readonly DenseVector[];
}

/** Takes the events of an answer like `{"result": [{"id": 1, "payload": {…}, "vector": […]}]}`. */
class AnswerOfPoints implements JsonEvents {
  readonly points: ReadPoint[] = [];
  #depth = 0;
  /** Names of the members that are open: of the answer, and of the point. */
  #section = "";
  #field = "";
  #id: ReadPoint["id"] | undefined;
  #value: JsonDigest | undefined;
  #payload = "{}";
  #vector = "{}";
  #dense = new DenseVectors();
  #idParts: Buffer[] = [];

  get #isInPoint(): boolean {
    return this.#section === "result" && this.#depth >= 3;
  }

  beginObject(): void {
    this.#depth += 1;
    if (this.#depth === 3 && this.#section === "result") this.#beginPoint();
    else if (this.#depth > 3) this.#forValue((value) => value.beginObject());
    if (this.#isOfVector) this.#dense.begin("object");
  }

  endObject(): void {
    if (this.#isOfVector) this.#dense.end();
    if (this.#depth === 3 && this.#section === "result") this.#endPoint();
    else if (this.#depth > 3) this.#forValue((value) => value.endObject());
    this.#depth -= 1;
  }

  beginArray(): void {
    this.#depth += 1;
    this.#forValue((value) => value.beginArray());
    if (this.#isOfVector) this.#dense.begin("array");
  }

  endArray(): void {
    if (this.#isOfVector) this.#dense.end();
    this.#forValue((value) => value.endArray());
    this.#depth -= 1;
  }

  name(text: string): void {
    if (this.#depth === 1) this.#section = text;
    else if (this.#isInPoint && this.#depth === 3) {
      this.#endField();
      this.#field = text;
      if (text === "payload" || text === "vector") this.#value = new JsonDigest({ isOfFloats: text === "vector" });
    } else {
      this.#value?.name(text);
      if (this.#isOfVector) this.#dense.name(text);
    }
  }

  beginString(): void {
    this.#idParts = [];
    this.#value?.beginString();
  }

  stringPart(bytes: Uint8Array): void {
    if (this.#isId) this.#idParts.push(Buffer.from(bytes));
    this.#value?.stringPart(bytes);
  }

  endString(): void {
    if (this.#isId) this.#id = Buffer.concat(this.#idParts).toString("utf8");
    if (this.#isOfVector) this.#dense.other();
    this.#value?.endString();
  }

  number(source: string): void {
    if (this.#isId) this.#id = Number.isSafeInteger(Number(source)) ? Number(source) : BigInt(source);
    if (this.#isOfVector) this.#dense.number(source);
    this.#value?.number(source);
  }

  literal(text: "true" | "false" | "null"): void {
    if (this.#isOfVector) this.#dense.other();
    this.#value?.literal(text);
  }

  get #isId(): boolean {
    return this.#isInPoint && this.#depth === 3 && this.#field === "id";
  }

  get #isOfVector(): boolean {
    return this.#isInPoint && this.#depth > 3 && this.#field === "vector";
  }

  #forValue(act: (value: JsonDigest) => void): void {
    if (this.#isInPoint && this.#value !== undefined) act(this.#value);
  }

  #beginPoint(): void {
    this.#id = undefined;
    this.#field = "";
    this.#payload = "{}";
    this.#vector = "{}";
    this.#dense = new DenseVectors();
  }

  #endField(): void {
    const text = this.#value?.text;
    this.#value = undefined;
    if (text === undefined || text === "null") return;
    if (this.#field === "payload") this.#payload = text;
    else this.#vector = text;
  }

  #endPoint(): void {
    this.#endField();
    if (this.#id === undefined) throw new SyntaxError("a point without an id");
    const content = `{"payload":${this.#payload},"vector":${this.#vector}}`;
    this.points.push({ id: this.#id, content, vectors: this.#dense.found });
  }
}

/** Lists of numbers that are a vector, or one of the named vectors: a list in a list is of a multivector. */
class DenseVectors {
  readonly found: DenseVector[] = [];
  #open: ("array" | "object")[] = [];
  #using: string | undefined;
  #numbers: number[] | undefined;

  begin(what: "array" | "object"): void {
    const isVector =
      what === "array" && (this.#open.length === 0 || (this.#open.length === 1 && this.#open[0] === "object"));
    this.#numbers = isVector && this.found.length < mostVectors ? [] : undefined;
    this.#open.push(what);
  }

  name(text: string): void {
    if (this.#open.length === 1) this.#using = text;
  }

  number(source: string): void {
    this.#numbers?.push(Number(source));
    if (this.#numbers !== undefined && this.#numbers.length > longestVector) this.#numbers = undefined;
  }

  other(): void {
    this.#numbers = undefined;
  }

  end(): void {
    this.#open.pop();
    const vector = this.#numbers;
    this.#numbers = undefined;
    if (vector === undefined || vector.length === 0) return;
    this.found.push({
      vector,
      ...(this.#open.length === 0 || this.#using === undefined ? {} : { using: this.#using }),
    });
  }
}

export class PointReader {
  readonly #answer = new AnswerOfPoints();
  readonly #tokenizer = new JsonTokenizer(this.#answer);

  /** The points that ended with these bytes. Throws SyntaxError where it is no JSON. */
  read(bytes: Uint8Array): ReadPoint[] {
    this.#tokenizer.write(bytes);
    return this.#answer.points.splice(0);
  }

  /** Throws SyntaxError when the answer breaks off. */
  end(): void {
    this.#tokenizer.end();
  }
}
