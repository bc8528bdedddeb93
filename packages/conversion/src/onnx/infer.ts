import { type Budget, budgetOf, LIMITS } from "./budget.js";
import { constantFacts, type Facts, InferenceContext } from "./facts.js";
import {
  type Constant,
  type Dimension,
  describe,
  type ElementType,
  type Graph,
  type Node,
  OnnxError,
  ruleFor,
  volume,
} from "./graph.js";
import { SHAPE_RULES } from "./shape-rules.js";
import { CONSTANT_RULES } from "./shapes/constants.js";
import { bytesOfElement } from "./tensors.js";

export interface InferenceOptions {
  /** Leaves out the results of nodes that no rule covers or whose inputs do not fit, rather than failing. */
  partial?: boolean;
  /** What the constants may take that a runtime computes from others when it loads the graph. */
  budget?: Budget;
}

/**
 * Types, shapes and small integer contents of every value of a graph.
 *
 * With `partial`, of every value that the rules reach: the results of an operator without a rule, and all that depend on
 * them, have no entry, unless the file declares their shape.
 * @throws {OnnxError} naming the node whose operator has no shape rule or whose inputs do not fit, unless `partial`.
 * @throws {LimitError} where the constants take more than {@link LIMITS} allow.
 */
export function inferShapes(graph: Graph, options: InferenceOptions = {}): Map<string, Facts> {
  const inference = new Inference(graph, options);
  for (const node of graph.nodes) inference.add(node);
  return inference.facts;
}

/** {@link inferShapes} node by node, for graphs that change. */
export class Inference {
  readonly facts = new Map<string, Facts>();
  /** The values that are known before the graph runs. A runtime computes them when it loads the graph. */
  private readonly fixed = new Set<string>([""]);
  /** The declared facts of values. */
  private readonly hints = new Map<string, Facts>();
  private readonly partial: boolean;
  private readonly budget: Budget;

  constructor(graph: Graph, { partial = false, budget = budgetOf(graph) }: InferenceOptions = {}) {
    this.partial = partial;
    this.budget = budget;
    for (const { name, type, shape } of graph.values ?? []) if (shape) this.hints.set(name, { type, shape });
    for (const [name, value] of graph.initializers) this.constant(name, value);
    for (const { name, type, shape } of graph.inputs) {
      if (shape !== undefined) this.facts.set(name, { type, shape });
      else if (!partial)
        throw new OnnxError(`input "${name}" has no shape; expected one such as [N, 3, 224, 224]`);
    }
  }

  constant(name: string, value: Constant): void {
    this.facts.set(name, constantFacts(value));
    this.fixed.add(name);
  }

  /** Infers the results of a node, whose inputs come before it. */
  add(node: Node): void {
    const isFixed = node.inputs.every((name) => this.fixed.has(name));
    const results = this.resultsOf(node, isFixed);
    for (const [i, name] of node.outputs.entries()) {
      const result = results[i] ?? (this.partial ? this.hints.get(name) : undefined);
      if (name === "" || result === undefined) continue;
      this.facts.set(name, result);
      if (isFixed || isKnown(result)) this.fix(node, name, result);
    }
  }

  private resultsOf(node: Node, isFixed: boolean): Facts[] {
    const inputs = node.inputs.map((name) => (name === "" ? undefined : this.facts.get(name)));
    try {
      const rule = ruleFor(SHAPE_RULES, node) ?? (isFixed ? ruleFor(CONSTANT_RULES, node) : undefined);
      if (rule === undefined) throw new OnnxError(`${describe(node)}: no shape rule for this operator`, node);
      const context = new InferenceContext(node, inputs, this.budget);
      return [rule(context)].flat().map((result) => checked(context, result));
    } catch (error) {
      if (this.partial && error instanceof OnnxError) return [];
      throw error;
    }
  }

  /** Counts a value that a node computes before the graph runs. */
  private fix(node: Node, name: string, { type, shape }: Facts): void {
    if (!shape.every((length) => typeof length === "number")) return;
    this.fixed.add(name);
    if (node.op === "Constant") return;
    const bytes = volume(shape) * bytesOfElement(type);
    this.budget.take(bytes, `${describe(node)}: the constant [${shape.join(", ")}] that it makes`, node);
  }
}

const isKnown = ({ contents }: Facts): boolean =>
  contents?.every((value) => typeof value === "number") === true;

/** The result of a rule, checked: contents that do not fit are left out. */
function checked(context: InferenceContext, { type, shape, contents }: Facts): Facts {
  context.rank(shape.length);
  if (!shape.every(isDimension))
    context.fail(`its result would have shape [${shape.map(String).join(", ")}]`);
  const fits =
    contents !== undefined &&
    contents.length <= LIMITS.contents &&
    shape.every((length) => typeof length === "number") &&
    volume(shape) === contents.length &&
    (context.inputs.some((input) => input?.contents === contents && input.type === type) ||
      contents.every((value) => isElement(type, value)));
  return { type, shape, ...(fits && { contents }) };
}

const isDimension = (length: Dimension): boolean =>
  typeof length === "string" || (Number.isSafeInteger(length) && length >= 0);

/** Whether a value can be an element of a tensor: any number of floats, a whole one of others, or the name of a length. */
const isElement = (type: ElementType, value: Dimension): boolean =>
  typeof value === "string" ||
  (typeof value === "number" && (type.startsWith("float") || Number.isSafeInteger(value)));
