import type { GraphBuilder } from "../../onnx/builder.js";
import { float32, float64 } from "../../onnx/graph.js";

/** A value of the graph, or a number that becomes a constant. */
export type Operand = string | number;

const FLOAT = 1;
const INT64 = 7;
const DOUBLE = 11;

/** Formulas as nodes, for opset 9 and later. `int` works on int64 tensors, `real` on float32, `double` on float64. */
export class Arithmetic {
  readonly int: Family;
  readonly real: Family;
  /** For results on which the last digit decides. */
  readonly double: Family;

  constructor(readonly g: GraphBuilder) {
    this.int = family(g, (value) => g.ints([value]));
    this.real = family(g, (value) => g.floats([value]));
    this.double = family(g, (value) => g.constant("double", float64([value])));
  }

  toReal(value: string): string {
    return this.g.node("Cast", [value], { to: FLOAT });
  }

  toDouble(value: string): string {
    return this.g.node("Cast", [value], { to: DOUBLE });
  }

  toInt(value: string): string {
    return this.g.node("Cast", [value], { to: INT64 });
  }

  /**
   * To the nearest signed byte. Since opset 10 it is int8: QuantizeLinear rounds and clamps in one pass, a half to the even
   * number. Before that it is float32, and a half is rounded up.
   */
  toBytes(value: string): string {
    const { g, real } = this;
    if (this.byteType === "int8") {
      const zero = g.constant("zero", { type: "int8", dims: [], data: Int8Array.of(0) });
      return g.node("QuantizeLinear", [value, g.floats([1], []), zero]);
    }
    const whole = g.node("Floor", [real.add(value, 0.5)]);
    return g.node("Min", [g.node("Max", [whole, g.floats([-128])]), g.floats([127])]);
  }

  get byteType(): "int8" | "float32" {
    return this.isSince(10) ? "int8" : "float32";
  }

  /** Whether the graph uses `opset` or a later one. */
  isSince(opset: number): boolean {
    return isSince(this.g, opset);
  }

  /** `sin(πt) / πt` of |t|. */
  sinc(t: string): string {
    const angle = this.g.node("Max", [this.real.mul(t, Math.PI), this.g.floats([1e-6])]);
    return this.real.div(this.g.node("Sin", [angle]), angle);
  }

  all(first: string, ...others: string[]): string {
    return others.reduce((sum, value) => this.g.node("And", [sum, value]), first);
  }

  any(first: string, ...others: string[]): string {
    return others.reduce((sum, value) => this.g.node("Or", [sum, value]), first);
  }

  /** Entry or entries `index` of axis 0. */
  at(value: string, ...index: number[]): string {
    return this.gather(value, this.g.ints(index), 0);
  }

  /** Entry `index` of axis 0, without that axis. */
  row(value: string, index: number): string {
    return this.gather(value, this.g.ints([index], []), 0);
  }

  /** Entry `index` of axis 1, with that axis. */
  column(value: string, index: number): string {
    return this.gather(value, this.g.ints([index]), 1);
  }

  gather(value: string, index: string, axis: number): string {
    return this.g.node("Gather", [value, index], { axis });
  }

  /** `[[0, 1, …, count - 1]]`, int64. */
  range(count: string): string {
    return this.g.node("NonZero", [this.ones(count)]);
  }

  /** `count` times 1, float32. */
  ones(count: string): string {
    return this.g.node("ConstantOfShape", [count], { value: float32([1]) });
  }

  /** Lengths that are numbers, -1, or values `[1]` of int64. */
  shape(value: string, ...lengths: Operand[]): string {
    const isFixed = lengths.every((length) => typeof length === "number");
    const target = isFixed ? this.g.ints(lengths as number[]) : this.list(...lengths);
    return this.g.node("Reshape", [value, target]);
  }

  /** Values `[n]`, or numbers among int64, one after another. */
  list(...values: Operand[]): string {
    return this.g.node(
      "Concat",
      values.map((value) => (typeof value === "number" ? this.g.ints([value]) : value)),
      { axis: 0 },
    );
  }
}

export interface Family {
  add(a: Operand, b: Operand): string;
  sub(a: Operand, b: Operand): string;
  mul(a: Operand, b: Operand): string;
  /** For int64 not below 0: without the fraction. */
  div(a: Operand, b: Operand): string;
  less(a: Operand, b: Operand): string;
  equal(a: Operand, b: Operand): string;
  where(condition: string, a: Operand, b: Operand): string;
  max(a: Operand, b: Operand): string;
  min(a: Operand, b: Operand): string;
  /** The largest of all elements, in a shape of the same rank. */
  greatest(value: string): string;
  least(value: string): string;
  /** `⌈a / b⌉` of int64. */
  ceilDiv(a: Operand, b: Operand): string;
  /** `a - b ⌊a / b⌋` of int64 not below 0. */
  mod(a: Operand, b: Operand): string;
}

const isSince = (g: GraphBuilder, opset: number): boolean => (g.graph.opsets.get("") ?? 0) >= opset;

function family(g: GraphBuilder, constant: (value: number) => string): Family {
  const value = (operand: Operand) => (typeof operand === "number" ? constant(operand) : operand);
  const binary = (op: string) => (a: Operand, b: Operand) => g.node(op, [value(a), value(b)]);
  const [add, sub, mul, div, less, equal] = ["Add", "Sub", "Mul", "Div", "Less", "Equal"].map(binary) as [
    Family["add"],
    Family["add"],
    Family["add"],
    Family["add"],
    Family["add"],
    Family["add"],
  ];
  const where = (condition: string, a: Operand, b: Operand) =>
    g.node("Where", [condition, value(a), value(b)]);
  return {
    add,
    sub,
    mul,
    div,
    less,
    equal,
    where,
    // Max and Min take int64 since opset 12.
    max: isSince(g, 12) ? binary("Max") : (a, b) => where(less(a, b), b, a),
    min: isSince(g, 12) ? binary("Min") : (a, b) => where(less(a, b), a, b),
    greatest: (a) => g.node("ReduceMax", [a]),
    least: (a) => g.node("ReduceMin", [a]),
    ceilDiv: (a, b) => div(sub(add(a, b), 1), b),
    mod: isSince(g, 10) ? binary("Mod") : (a, b) => sub(a, mul(div(a, b), b)),
  };
}
