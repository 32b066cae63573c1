import { expect } from "chai";
import fc from "fast-check";
import { fieldChanges, fieldsLacking } from "../../runtime/domain/infrastructure/field-changes.ts";

describe("changes of fields", () => {
  it("names each field that differs, with what was and what is", () => {
    const before = { spec: { replicas: 2, ports: [{ port: 80 }, { port: 81 }], gone: true }, same: [1] };
    const after = { spec: { replicas: 3, ports: [{ port: 80 }, { port: 82 }], "new.one": 1 }, same: [1] };
    expect(fieldChanges(before, after)).to.deep.equal([
      { field: ".spec.gone", before: true },
      { field: '.spec["new.one"]', after: 1 },
      { field: ".spec.ports[1].port", before: 81, after: 82 },
      { field: ".spec.replicas", before: 2, after: 3 },
    ]);
  });

  it("takes lists of different lengths for one field", () => {
    expect(fieldChanges({ a: [1] }, { a: [1, 2] })).to.deep.equal([{ field: ".a", before: [1], after: [1, 2] }]);
  });

  it("finds none between equal values, and some between others", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => fieldChanges(value, structuredClone(value)).length === 0));
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b) && fieldsLacking(a, b).length > 0);
        expect(fieldChanges(a, b)).to.not.deep.equal([]);
      }),
    );
  });

  it("lacks nothing when more is there than was wanted", () => {
    expect(fieldsLacking({ a: [{ n: 1 }], b: 1 }, { a: [{ n: 0 }, { n: 1, m: 2 }], b: 1, c: 3 })).to.deep.equal([]);
  });

  it("lacks what is not there, and what has another value", () => {
    expect(fieldsLacking({ a: [{ n: 1 }, { n: 2 }], b: { c: 1, d: 2 } }, { a: [{ n: 1 }], b: { c: 2 } })).to.deep.equal(
      [".a[1]", ".b.c", ".b.d"],
    );
  });
});
