import { budgetOf } from "./budget.js";
import { constantOf, type Facts } from "./facts.js";
import {
  type Constant,
  type ElementType,
  type Graph,
  int64,
  intsAttribute,
  type Node,
  type NumericArray,
  producers,
  ruleFor,
} from "./graph.js";
import { type InferenceOptions, inferShapes } from "./infer.js";
import { reads, renameInSubgraphs, uniqueNames } from "./subgraph.js";

/**
 * The same graph without what only describes it: `Constant` nodes and integer arithmetic on shapes become
 * initialisers, the targets of `Reshape` too where they only repeat the batch, `Identity`, inference-time `Dropout` and
 * what else changes nothing vanish, and so does what no output needs.
 * @throws {OnnxError} as {@link inferShapes} does.
 */
export function foldConstants(graph: Graph, options: InferenceOptions = {}): Graph {
  const { partial = false, budget = budgetOf(graph) } = options;
  const facts = inferShapes(graph, { partial, budget: budget.whole() });
  const initializers = new Map(graph.initializers);
  const alias = new Map<string, string>();
  const resolve = (name: string) => alias.get(name) ?? name;
  const outputs = new Set(graph.outputs.map(({ name }) => name));

  const made = new Map<string, Node>();
  const unique = uniqueNames(graph);
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node = renameInSubgraphs({ ...original, inputs: original.inputs.map(resolve) }, resolve);
    const result = node.outputs[0] ?? "";
    const constant = result === "" ? undefined : fold(node, facts.get(result));
    const same = ruleFor(UNCHANGED, node)?.(node, made, facts) || undefined;
    if (result !== "") made.set(result, node);
    if (constant !== undefined) initializers.set(result, constant);
    else if (same !== undefined && !outputs.has(result)) alias.set(result, same);
    else nodes.push(node.op === "Reshape" ? withConstantTarget(node, facts, initializers, unique) : node);
  }
  return removeUnused({ ...graph, nodes, initializers });
}

/** The value that a node's result is the same as, if it is one. */
type Same = (node: Node, made: Map<string, Node>, facts: Map<string, Facts>) => string | undefined;

const UNCHANGED: Record<string, Same> = {
  Identity: ({ inputs }) => inputs[0],
  Dropout({ inputs, outputs }, _, facts) {
    const training = inputs[2] ? facts.get(inputs[2])?.contents?.[0] : 0;
    return outputs.length === 1 && training === 0 ? inputs[0] : undefined;
  },
  Cast: ({ inputs: [x = ""], outputs: [y = ""] }, _, facts) =>
    facts.get(x) !== undefined && facts.get(x)?.type === facts.get(y)?.type ? x : undefined,
  /** PyTorch writes a padding by nothing before an average pooling. */
  Pad(node, _, facts) {
    const given = facts.get(node.inputs[1] ?? "")?.contents ?? intsAttribute(node, "pads");
    return given?.every((pad) => pad === 0) ? node.inputs[0] : undefined;
  },
  /** Two transpositions that undo each other, as exports from `[N, H, W, C]` have them. */
  Transpose(node, made) {
    const before = made.get(node.inputs[0] ?? "");
    const first =
      before?.op === "Transpose" && before.domain === "" ? intsAttribute(before, "perm") : undefined;
    const second = intsAttribute(node, "perm");
    return first && second?.every((axis, i) => first[axis] === i) ? before?.inputs[0] : undefined;
  },
};

/** A `Reshape` whose target names lengths of its input, as `[n, -1]` does, with 0 ("as it is") for each name. */
function withConstantTarget(
  node: Node,
  facts: Map<string, Facts>,
  initializers: Map<string, Constant>,
  unique: (hint: string) => string,
): Node {
  const [data = "", target = ""] = node.inputs;
  const shape = facts.get(data)?.shape;
  const { type, contents: wanted } = facts.get(target) ?? {};
  // Of other types it is no target, and fractions could not be written as one.
  if (initializers.has(target) || type !== "int64" || wanted === undefined || shape === undefined)
    return node;
  const resolved = wanted.map((length, i) =>
    typeof length === "number" ? length : length === shape[i] ? 0 : Number.NaN,
  );
  if (resolved.some(Number.isNaN)) return node;
  const name = unique(`${node.outputs[0]}_shape`);
  initializers.set(name, int64(resolved));
  return { ...node, inputs: [data, name] };
}

function fold(node: Node, facts: Facts | undefined): Constant | undefined {
  if (node.op === "Constant" && node.domain === "") return plainConstant(node);
  if (!facts?.contents?.every((value) => typeof value === "number")) return undefined;
  const array = FOLDED[facts.type];
  if (array === undefined || node.outputs.length > 1) return undefined;
  return { type: facts.type, dims: facts.shape as number[], data: array(facts.contents as number[]) };
}

/** The tensor of a `Constant` node, if it is one; text and sparse tensors are left as they are. */
function plainConstant(node: Node): Constant | undefined {
  const isOther = ["value_string", "value_strings", "sparse_value"].some((name) => node.attributes.has(name));
  return isOther ? undefined : constantOf(node);
}

const FOLDED: Partial<Record<ElementType, (values: number[]) => NumericArray>> = {
  int64: (values) => BigInt64Array.from(values, BigInt),
  int32: (values) => Int32Array.from(values),
  float32: (values) => Float32Array.from(values),
  float64: (values) => Float64Array.from(values),
  bool: (values) => Uint8Array.from(values),
};

/** Drops the nodes and initialisers that no output depends on. */
export function removeUnused(graph: Graph): Graph {
  const made = producers(graph);
  const needed = new Set<string>();
  const open = graph.outputs.map(({ name }) => name);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (needed.has(name)) continue;
    needed.add(name);
    const maker = made.get(name);
    if (maker) for (const read of reads(maker)) open.push(read);
  }
  return {
    ...graph,
    nodes: graph.nodes.filter((node) => node.outputs.some((output) => needed.has(output))),
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
  };
}
