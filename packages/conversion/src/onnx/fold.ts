/** Rewrites that drop from a graph what only describes it. */
import { constantOf, type Facts } from "./facts.js";
import { type Constant, type Graph, int64, intsAttribute, type Node } from "./graph.js";
import type { InferenceOptions } from "./infer.js";
import { ANY, type EditableGraph, type Rewrite, rewrite } from "./rewrite.js";
import { arrayOf } from "./tensors.js";

/**
 * The same graph without what only describes it: `Constant` nodes and integer arithmetic on shapes become initialisers,
 * and so do the targets of `Reshape` that only repeat the batch. `Identity`, inference-time `Dropout` and other operators
 * that change nothing vanish, and so does what no output needs.
 * @throws {OnnxError} as {@link inferShapes} does.
 */
export const foldConstants = (graph: Graph, options: InferenceOptions = {}): Graph =>
  rewrite(graph, CONSTANTS, options).graph;

/** f(constants) = constant: `Constant` nodes and arithmetic on shapes. */
const knownValue: Rewrite<Constant> = {
  name: "known value",
  pattern: [ANY],
  check: ([node], graph) => (node?.outputs[0] ? knownFrom(node, graph.facts(node.outputs[0])) : undefined),
  replace: (value) => value,
};

/** The value that a node's result is the same as, if it is one. */
type Same = (node: Node, graph: EditableGraph) => string | false | undefined;

const UNCHANGED: Record<string, Same> = {
  /** Identity(x) = x */
  Identity: ({ inputs }) => inputs[0],
  /** Dropout(x) = x, but in training */
  Dropout: ({ inputs, outputs }, graph) =>
    outputs.length === 1 && (!inputs[2] || graph.facts(inputs[2])?.contents?.[0] === 0) && inputs[0],
  /** Cast(x, type of x) = x */
  Cast: ({ inputs: [x], outputs: [y] }, graph) =>
    graph.facts(x) !== undefined && graph.facts(x)?.type === graph.facts(y)?.type && x,
  /** Pad(x, 0) = x: PyTorch writes one before an average pooling. */
  Pad(node, graph) {
    const pads = graph.facts(node.inputs[1])?.contents ?? intsAttribute(node, "pads");
    return pads?.every((pad) => pad === 0) && node.inputs[0];
  },
  /** Transpose(Transpose(x, p), p⁻¹) = x: exports from `[N, H, W, C]` have such pairs. */
  Transpose(node, graph) {
    const before = graph.producer(node.inputs[0]);
    const isPair = before?.op === "Transpose" && before.domain === "";
    const [first, second] = [isPair && intsAttribute(before, "perm"), intsAttribute(node, "perm")];
    return isPair && first && second?.every((axis, i) => first[axis] === i) && before.inputs[0];
  },
};

const unchanged = Object.entries(UNCHANGED).map(
  ([op, same]): Rewrite<string, [Node]> => ({
    name: `${op} that changes nothing`,
    pattern: [op],
    check: ([node], graph) => same(node, graph) || undefined,
    replace: (value) => value,
  }),
);

/** Reshape(x, [N, -1]) = Reshape(x, [0, -1]): lengths of x that have names are copied. */
const constantTarget: Rewrite<Constant, [Node]> = {
  name: "constant target of Reshape",
  pattern: ["Reshape"],
  check(
    {
      0: {
        inputs: [data, target = ""],
      },
    },
    graph,
  ) {
    const { type, contents } = graph.facts(target) ?? {};
    // Of other types it is no target, and fractions could not be written as one.
    if (graph.constants.has(target) || type !== "int64" || contents === undefined) return undefined;
    if (graph.facts(data) === undefined) return undefined;
    const shape = graph.shape(data);
    const resolved = contents.map((length, i) =>
      typeof length === "number" ? length : length === shape[i] ? 0 : NaN,
    );
    return resolved.some(Number.isNaN) ? undefined : int64(resolved);
  },
  replace: (target, [node], graph) => [
    { ...node, inputs: [node.inputs[0] as string, graph.constant(`${node.outputs[0]}_shape`, target)] },
  ],
};

/** In the order in which they apply. */
export const CONSTANTS: readonly Rewrite[] = [knownValue, ...unchanged, constantTarget];

function knownFrom(node: Node, facts: Facts | undefined): Constant | undefined {
  if (node.op === "Constant" && node.domain === "") return plainConstant(node);
  if (!facts?.contents?.every((value) => typeof value === "number")) return undefined;
  const data = node.outputs.length === 1 && arrayOf(facts.type, facts.contents as number[]);
  return data ? { type: facts.type, dims: facts.shape as number[], data } : undefined;
}

/** The tensor of a `Constant` node, if it is one; text and sparse tensors are left as they are. */
function plainConstant(node: Node): Constant | undefined {
  const isOther = ["value_string", "value_strings", "sparse_value"].some((name) => node.attributes.has(name));
  return isOther ? undefined : constantOf(node);
}
