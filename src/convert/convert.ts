/** A spatial network to a network on JPEG coefficients: `spatial graph → JPEG-domain graph`. */
import { GraphBuilder } from "../onnx/builder.js";
import type { Facts } from "../onnx/facts.js";
import { readOnnx, writeOnnx } from "../onnx/file.js";
import { foldConstants } from "../onnx/fold.js";
import type { Dimension, Graph, Node } from "../onnx/graph.js";
import { inferShapes } from "../onnx/infer.js";
import { foldBatchNormalization } from "./fold-batch-normalization.js";
import type { Convolution, Size } from "./layers.js";
import { writeMetadata } from "./metadata.js";
import type { Operand } from "./operators/call.js";
import { COEFFICIENT_RULES } from "./operators/coefficient-rules.js";
import { multiplyAdds } from "./operators/convolution.js";
import { RULES } from "./operators/table.js";
import { ConvertError, type ConvertOptions, formatRelu, type PlanName, settings } from "./options.js";
import { type Cost, gigabytes, loadingBytes, type Plan, type PlanFactory } from "./plan.js";
import { blockwise } from "./plans/blockwise.js";
import type { CoefficientMap, Coefficients } from "./plans/coefficients.js";
import { exploded, operatorBytes } from "./plans/exploded.js";
import { fused } from "./plans/fused.js";
import { Conversion, isWholeBlocks, type Value } from "./rule.js";

const PLANS: Record<PlanName, PlanFactory> = { fused, blockwise, exploded } as Record<PlanName, PlanFactory>;

/**
 * Converts an ONNX image model, trained on pixels, into one that takes the coefficient tensor `[N, C, X, Y, 64]` of
 * its input planes `[N, C, 8X, 8Y]` and gives the same outputs.
 *
 * @param onnx The model file. Its one input must be float32 `[N, C, H, W]` with H and W multiples of 8.
 * @returns A standard ONNX file: input `coefficients`, the outputs of the original, dynamic batch if it had one.
 * @throws {OnnxError} where the bytes are no ONNX model.
 * @throws {ConvertError} where an operator has no counterpart in the JPEG domain, with its name, node and reason.
 */
export function convert(onnx: Uint8Array, options: ConvertOptions = {}): Uint8Array {
  return writeOnnx(convertGraph(readOnnx(onnx), options).graph);
}

/** What {@link convertGraph} gives: the graph, and what it costs. */
export interface Converted {
  graph: Graph;
  cost: Cost;
}

/** {@link convert} on graphs. */
export function convertGraph(model: Graph, options: ConvertOptions = {}): Converted {
  const chosen = settings(options);
  const source = foldBatchNormalization(foldConstants(model));
  if (chosen.plan === "exploded") checkMemory(source, options.memoryLimit);
  const cost: Cost = { multiplyAdds: 0, operatorBytes: 0, largestOperatorBytes: 0 };
  const g = new GraphBuilder(`${source.name} in the JPEG domain`, source.opsets.get(""));
  for (const { name } of source.outputs) g.unique(name);
  const size = run(source, g, PLANS[chosen.plan](g, chosen, cost));
  const graph = g.build();
  writeMetadata(graph, {
    input: "planes",
    plan: chosen.plan,
    relu: formatRelu(options.relu ?? "exact"),
    ...size,
    table: Array.from(chosen.table),
    ...cost,
  });
  return { graph, cost };
}

/** Carries every node of `source` over into `g`, by its rule and `plan`. Returns the size of the input planes. */
function run(source: Graph, g: GraphBuilder, plan: Plan): Size {
  const facts = inferShapes(source);
  const { name, shape } = onlyInput(source);
  const [batch, channels, height, width] = shape;
  const size = { channels, height, width };
  const coefficients = g.input("coefficients", "float32", [
    batch,
    channels,
    Math.ceil(height / 8),
    Math.ceil(width / 8),
    64,
  ]);
  const values = new Map<string, Value>([[name, { kind: "map", map: plan.enter(coefficients, size), size }]]);
  for (const node of source.nodes) {
    const onMaps = node.inputs.some((input) => values.get(input)?.kind === "map");
    if (!onMaps) copy(source, g, node, values);
    else if (plan.domain) byCoefficients(source, g, plan, node, values, facts);
    else
      values.set(node.outputs[0] as string, applyRule(new Conversion(node, plan, g, source, facts, values)));
  }
  for (const output of source.outputs) {
    const value = values.get(output.name) as Value;
    const made = value.kind === "map" ? plan.pixels(value.map) : value.name;
    g.output(made, output.name, output.type, (facts.get(output.name) as Facts).shape);
  }
  return size;
}

/** TEMP */
function byCoefficients(
  source: Graph,
  g: GraphBuilder,
  plan: Plan,
  node: Node,
  values: Map<string, Value>,
  facts: Map<string, Facts>,
): void {
  const rule = COEFFICIENT_RULES[node.op];
  const operands = node.inputs.map((input): Operand | undefined => {
    const value = values.get(input);
    if (value?.kind === "map") return { kind: "map", map: value.map as CoefficientMap };
    const constant = source.initializers.get(input);
    if (constant) return { kind: "constant", value: constant };
    if (value?.kind === "tensor")
      return { kind: "tensor", name: value.name, shape: (facts.get(input) as Facts).shape };
    return undefined;
  });
  const outputs = node.outputs.map((output) => (facts.get(output) as Facts).shape);
  try {
    const results = rule?.({ node, domain: plan.domain as Coefficients, operands, outputs });
    if (!results)
      throw new ConvertError("no rule for this operator on coefficients; rules exist for Conv", node);
    for (const [i, result] of results.entries()) {
      const name = node.outputs[i] as string;
      if ("tensor" in result) values.set(name, { kind: "tensor", name: result.tensor });
      else values.set(name, { kind: "map", map: result, size: result.size });
    }
  } catch (e) {
    if (!(e instanceof ConvertError)) throw e;
    if (process.env.BORDER) console.log(e.message);
    for (const input of node.inputs) {
      const value = values.get(input);
      if (value?.kind === "map") values.set(input, { kind: "tensor", name: plan.pixels(value.map) });
    }
    copy(source, g, node, values);
  }
}

function applyRule(call: Conversion): Value {
  const { node } = call;
  const rule = node.domain === "" ? RULES[node.op] : undefined;
  if (rule === undefined)
    return call.refuse(
      `no rule for this operator on coefficients; rules exist for ${Object.keys(RULES).join(", ")}`,
    );
  return rule(call);
}

/** Takes a node over as it is: it works on plain tensors only. */
function copy(source: Graph, g: GraphBuilder, node: Node, values: Map<string, Value>): void {
  const inputs = node.inputs.map((input) => {
    const value = values.get(input);
    if (value?.kind === "tensor") return value.name;
    const constant = source.initializers.get(input);
    if (input === "" || constant === undefined) return input;
    const name = g.constant(input, constant);
    values.set(input, { kind: "tensor", name });
    return name;
  });
  const outputs = node.outputs.map((output) => (output === "" ? "" : g.unique(output)));
  g.copy(node, inputs, outputs);
  for (const [i, output] of node.outputs.entries())
    values.set(output, { kind: "tensor", name: outputs[i] as string });
}

interface ImageInput {
  name: string;
  shape: [batch: Dimension, channels: number, height: number, width: number];
}

function onlyInput(graph: Graph): ImageInput {
  const [input, ...others] = graph.inputs;
  const found = graph.inputs
    .map(({ name, type, shape }) => `${name}: ${type} [${shape?.join(", ") ?? "?"}]`)
    .join("; ");
  const [batch, channels, height, width] = input?.shape ?? [];
  if (
    input === undefined ||
    others.length > 0 ||
    input.type !== "float32" ||
    input.shape?.length !== 4 ||
    typeof channels !== "number" ||
    typeof height !== "number" ||
    typeof width !== "number"
  )
    throw new ConvertError(
      `the model's inputs are ${found || "none"}; expected one image input float32 [N, C, H, W] with C, H and W known`,
    );
  if (!process.env.ANY && !isWholeBlocks({ channels, height, width }))
    throw new ConvertError(
      `input "${input.name}" is ${height}x${width}, which is not whole 8x8 blocks; expected multiples of 8`,
    );
  return { name: input.name, shape: [batch as Dimension, channels, height, width] };
}

/** The convolutions of a model that are carried out on feature maps. */
function convolutions(source: Graph): Convolution[] {
  const layers: Convolution[] = [];
  run(source, new GraphBuilder("", source.opsets.get("")), {
    enter: () => null,
    convolution: (_, layer) => layers.push(layer),
    batchNormalization: () => null,
    relu: () => null,
    add: () => null,
    globalAverage: () => "",
    pixels: () => "",
  });
  return layers;
}

/** Multiplications of a spatial model's convolutions for one image: what a converted one's are to be compared with. */
export const spatialMultiplyAdds = (model: Graph): number =>
  convolutions(foldConstants(model)).reduce((sum, layer) => sum + multiplyAdds(layer), 0);

/** Refuses an exploded network that would not fit, before anything of it is built. */
function checkMemory(source: Graph, limit = Number.POSITIVE_INFINITY): void {
  const bytes = convolutions(source).map(operatorBytes);
  const cost = {
    operatorBytes: bytes.reduce((sum, n) => sum + n, 0),
    largestOperatorBytes: Math.max(0, ...bytes),
  };
  if (loadingBytes(cost) > limit)
    throw new ConvertError(
      `plan exploded needs ${gigabytes(loadingBytes(cost))} while loading ${bytes.length} operator tensors, ` +
        `more than the ${gigabytes(limit)} there are; plans fused and blockwise need far less`,
    );
}
