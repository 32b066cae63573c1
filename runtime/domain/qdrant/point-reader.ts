/** Reads points from the answer that holds them, as it comes: of each its id, digests of its content, and what searches can ask with. */
import { JsonDigest } from "../json-digest.ts";
import { type JsonEvents, JsonTokenizer } from "../json-tokens.ts";
import { type PayloadScalar, ScalarsOfPayload } from "./payload-scalars.ts";
import { type NamedVector, VectorsOfPoint } from "./point-vectors.ts";

export interface ReadPoint {
  readonly id: number | bigint | string;
  /** One text for equal content. */
  readonly content: string;
  readonly vectors: readonly NamedVector[];
  readonly scalars: readonly PayloadScalar[];
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
  #vectors = new VectorsOfPoint();
  #scalars = new ScalarsOfPayload();
  #idParts: Buffer[] = [];

  get #isInPoint(): boolean {
    return this.#section === "result" && this.#depth >= 3;
  }

  beginObject(): void {
    this.#depth += 1;
    if (this.#depth === 3 && this.#section === "result") this.#beginPoint();
    else if (this.#depth > 3) this.#forValue((value) => value.beginObject());
    if (this.#isOfVector) this.#vectors.begin("object");
  }

  endObject(): void {
    if (this.#isOfVector) this.#vectors.end();
    if (this.#depth === 3 && this.#section === "result") this.#endPoint();
    else if (this.#depth > 3) this.#forValue((value) => value.endObject());
    this.#depth -= 1;
  }

  beginArray(): void {
    this.#depth += 1;
    this.#forValue((value) => value.beginArray());
    if (this.#isOfVector) this.#vectors.begin("array");
  }

  endArray(): void {
    if (this.#isOfVector) this.#vectors.end();
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
      if (this.#isOfPayload) this.#scalars.name(text);
      if (this.#isOfVector) this.#vectors.name(text);
    }
  }

  beginString(): void {
    this.#idParts = [];
    if (this.#isOfPayload) this.#scalars.beginString();
    this.#value?.beginString();
  }

  stringPart(bytes: Uint8Array): void {
    if (this.#isId) this.#idParts.push(Buffer.from(bytes));
    if (this.#isOfPayload) this.#scalars.stringPart(bytes);
    this.#value?.stringPart(bytes);
  }

  endString(): void {
    if (this.#isId) this.#id = Buffer.concat(this.#idParts).toString("utf8");
    if (this.#isOfVector) this.#vectors.other();
    if (this.#isOfPayload) this.#scalars.endString();
    this.#value?.endString();
  }

  number(source: string): void {
    if (this.#isId) this.#id = Number.isSafeInteger(Number(source)) ? Number(source) : BigInt(source);
    if (this.#isOfVector) this.#vectors.number(source);
    if (this.#isOfPayload) this.#scalars.number(source);
    this.#value?.number(source);
  }

  literal(text: "true" | "false" | "null"): void {
    if (this.#isOfVector) this.#vectors.other();
    if (this.#isOfPayload) this.#scalars.literal(text);
    this.#value?.literal(text);
  }

  get #isId(): boolean {
    return this.#isInPoint && this.#depth === 3 && this.#field === "id";
  }

  get #isOfVector(): boolean {
    return this.#isInPoint && this.#depth > 3 && this.#field === "vector";
  }

  /** Directly in the payload, not in a value of it. */
  get #isOfPayload(): boolean {
    return this.#isInPoint && this.#depth === 4 && this.#field === "payload";
  }

  #forValue(act: (value: JsonDigest) => void): void {
    if (this.#isInPoint && this.#value !== undefined) act(this.#value);
  }

  #beginPoint(): void {
    this.#id = undefined;
    this.#field = "";
    this.#payload = "{}";
    this.#vector = "{}";
    this.#vectors = new VectorsOfPoint();
    this.#scalars = new ScalarsOfPayload();
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
    this.points.push({ id: this.#id, content, vectors: this.#vectors.found, scalars: this.#scalars.found });
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
