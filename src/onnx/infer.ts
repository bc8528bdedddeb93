import { type Budget, budgetOf, LIMITS } from "./budget.js";
import { Call, constantFacts, type Facts } from "./facts.js";
import {
  type Dimension,
  describe,
  type ElementType,
  type Graph,
  type Node,
  OnnxError,
  ruleFor,
  type ValueInfo,
  volume,
} from "./graph.js";
import { CONSTANT_RULES, SHAPE_RULES } from "./shape-rules.js";
import { bytesOfElement } from "./tensors.js";

/** How {@link inferShapes} takes a node that it cannot follow: `partial` leaves its outputs out. */
export interface InferenceOptions {
  partial?: boolean;
  /** What the constants may take that a runtime makes of others when it loads the graph. */
  budget?: Budget;
}

/**
 * Types, shapes and small integer contents of every value of a graph.
 *
 * With `partial`, of every value that the rules reach: what an operator without rule makes, and what depends on it, has
 * no entry, unless the file says what it is.
 * @throws {OnnxError} naming the node whose operator has no shape rule or whose inputs do not fit, unless `partial`.
 * @throws {LimitError} where constants are made that take more than {@link LIMITS} allow.
 */
export function inferShapes(
  graph: Graph,
  { partial = false, budget = budgetOf(graph) }: InferenceOptions = {},
): Map<string, Facts> {
  const facts = new Map<string, Facts>();
  const fixed = new Fixed(budget);
  for (const [name, value] of graph.initializers) {
    facts.set(name, constantFacts(value));
    fixed.add(name);
  }
  for (const { name, type, shape } of graph.inputs) {
    if (shape !== undefined) facts.set(name, { type, shape });
    else if (!partial)
      throw new OnnxError(`input "${name}" has no shape; expected one such as [N, 3, 224, 224]`);
  }
  const hints = new Map(graph.values?.map((value) => [value.name, value]));
  for (const node of graph.nodes) {
    const isFixed = fixed.has(node.inputs);
    const results = factsOf(node, facts, { partial, budget, isFixed });
    for (const [i, name] of node.outputs.entries()) {
      const result = results[i] ?? (partial ? hinted(hints.get(name)) : undefined);
      if (name === "" || result === undefined) continue;
      facts.set(name, result);
      if (isFixed || isKnown(result)) fixed.make(node, name, result);
    }
  }
  return facts;
}

const hinted = (value: ValueInfo | undefined): Facts | undefined =>
  value?.shape && { type: value.type, shape: value.shape };

const isKnown = ({ contents }: Facts): boolean =>
  contents?.every((value) => typeof value === "number") === true;

/** The values that are known before the graph runs. A runtime makes them when it loads the graph. */
class Fixed {
  private readonly names = new Set<string>([""]);

  constructor(private readonly budget: Budget) {}

  add(name: string): void {
    this.names.add(name);
  }

  has(names: string[]): boolean {
    return names.every((name) => this.names.has(name));
  }

  /** Counts a value that a node makes of others. */
  make(node: Node, name: string, { type, shape }: Facts): void {
    if (!shape.every((length) => typeof length === "number")) return;
    this.names.add(name);
    if (node.op === "Constant") return;
    const bytes = volume(shape) * bytesOfElement(type);
    this.budget.take(bytes, `${describe(node)}: the constant [${shape.join(", ")}] that it makes`, node);
  }
}

interface Situation {
  partial: boolean;
  budget: Budget;
  /** Whether all inputs are known before the graph runs. */
  isFixed: boolean;
}

function factsOf(node: Node, facts: Map<string, Facts>, { partial, budget, isFixed }: Situation): Facts[] {
  const inputs = node.inputs.map((name) => (name === "" ? undefined : facts.get(name)));
  try {
    const rule = ruleFor(SHAPE_RULES, node) ?? (isFixed ? ruleFor(CONSTANT_RULES, node) : undefined);
    if (rule === undefined) throw new OnnxError(`${describe(node)}: no shape rule for this operator`, node);
    const call = new Call(node, inputs, budget);
    return rule(call).map((result) => sound(call, result));
  } catch (error) {
    if (partial && error instanceof OnnxError) return [];
    throw error;
  }
}

/** What a rule gives, if it can be so; its elements are left out where they do not fit. */
function sound(call: Call, { type, shape, contents }: Facts): Facts {
  call.rank(shape.length);
  if (!shape.every(isDimension)) call.fail(`its result would have shape [${shape.map(String).join(", ")}]`);
  const fits =
    contents !== undefined &&
    contents.length <= LIMITS.contents &&
    shape.every((length) => typeof length === "number") &&
    volume(shape) === contents.length &&
    (call.inputs.some((input) => input?.contents === contents && input.type === type) ||
      contents.every((value) => isElement(type, value)));
  return { type, shape, ...(fits && { contents }) };
}

const isDimension = (length: Dimension): boolean =>
  typeof length === "string" || (Number.isSafeInteger(length) && length >= 0);

/** Whether a value can be an element of a tensor: floats are any number, integers and truths such, or names of lengths. */
const isElement = (type: ElementType, value: Dimension): boolean =>
  typeof value === "string" || (typeof value === "number" && (isFloat(type) || Number.isSafeInteger(value)));

const isFloat = (type: ElementType): boolean => type === "float32" || type === "float64";
