/** A spatial network to a network on JPEG coefficients: `spatial graph → JPEG-domain graph`. */
import { batchedOutputs } from "../onnx/batch.js";
import { type Budget, budgetOf } from "../onnx/budget.js";
import { GraphBuilder } from "../onnx/builder.js";
import { readOnnx, writeOnnx } from "../onnx/file.js";
import type { Graph } from "../onnx/graph.js";
import { inferShapes } from "../onnx/infer.js";
import { rewrite } from "../onnx/rewrite.js";
import { subgraphNames } from "../onnx/subgraph.js";
import { JPEG_INPUTS } from "../preprocess/graph/planes.js";
import { checkPreprocess, type Preprocess } from "../preprocess/preprocess.js";
import { type Cost, gigabytes, loadingBytes, noCost } from "./cost.js";
import { ConvertError } from "./errors.js";
import { findImage, type ImageInput, type ImageModel } from "./image-input.js";
import { enterJpeg } from "./jpeg-input.js";
import type { Size } from "./layers.js";
import { lower } from "./lower.js";
import { type Metadata, readMetadata, readPreprocess, writeMetadata } from "./metadata.js";
import { multiplications } from "./operations.js";
import { type ConvertOptions, formatRelu, settings } from "./options.js";
import { type InputValues, withConstants, withRepeated } from "./other-inputs.js";
import type { PlanContext, PlanFactory } from "./plan.js";
import { planeSize } from "./plane-size.js";
import { blockwise } from "./plans/blockwise.js";
import { EXPLODED, exploded, operatorBytes } from "./plans/exploded.js";
import { fused } from "./plans/fused.js";
import { isWhole, preparationFor } from "./preparation.js";
import { readLayers } from "./read.js";
import { approximations, countsOf, type NodeReport, onPlanes } from "./report.js";
import { freeNames } from "./rewrites/free-names.js";
import { rewritesFor } from "./rewrites/list.js";

/** {@link lower} by a plan, whose feature maps are its own. */
const by =
  <M extends { size: Size }>(plan: PlanFactory<M>) =>
  (source: Graph, image: ImageInput, context: Omit<PlanContext, "note">) =>
    lower(source, image, context, plan);

const LOWER = { fused: by(fused), blockwise: by(blockwise), exploded: by(exploded) };

/**
 * Converts an ONNX image model, trained on pixels, into one that takes the coefficient tensor `[N, C, X, Y, 64]` of
 * its input planes `[N, C, H, W]` and gives the same outputs. X and Y are H / 8 and W / 8, rounded up; what the last
 * blocks hold beyond the image does not matter.
 *
 * Where an operator has no rule on coefficients, plan `fused` goes on with pixels, and `blockwise` works on pixels and
 * comes back after it; {@link convertGraph} says where and why.
 *
 * @param onnx The model file. One of its inputs must be an image `[N, C, H, W]`, `[N, H, W, C]`, `[C, H, W]` or
 *   `[H, W, C]`, of floating or whole numbers, which the coefficients' pixels are rounded to; batch, height and width
 *   may be dynamic. Inputs beside it stay inputs, unless `options.inputs` has their values.
 * @returns A standard ONNX file: input `coefficients`, the outputs of the original, dynamic where that was.
 * @throws {OnnxError} where the bytes are no ONNX model.
 * @throws {ConvertError} where the model takes no image, or, under plan `exploded`, where an operator has no
 *   counterpart on coefficients, with its name, node and reason.
 */
export function convert(onnx: Uint8Array, options: ConvertOptions = {}): Uint8Array {
  return writeOnnx(convertGraph(readOnnx(onnx), options).graph);
}

/** What {@link convertGraph} gives: the graph, what it costs, and where each operator of the model went. */
export interface Converted {
  graph: Graph;
  cost: Cost;
  report: NodeReport[];
  /**
   * Outputs of the model whose names are those of inputs of converted models, as `y` with `input: 'jpeg'`, and what they
   * are called instead.
   */
  renamed?: ReadonlyMap<string, string>;
  /** With `input: 'jpeg'`: what neither the model nor the options said of its preprocessing, as a sentence. */
  assumed?: string;
}

/** {@link convert} on graphs. */
export function convertGraph(model: Graph, options: ConvertOptions = {}): Converted {
  settings(options);
  const known = readPreprocess(model);
  const { source, image } = findImage(model, options.inputs);
  const bound = { source: withConstants(source, image, options.inputs ?? {}), image };
  const given = options.input === "jpeg" ? oneByOne(bound, options.inputs).source : bound.source;
  const reserved = options.input === "jpeg" ? JPEG_INPUTS : ["coefficients"];
  checkOthers(given, ["coefficients", ...reserved]);
  const { graph, names } = freeNames(given, reserved);
  const found = { source: graph, image: { ...image, name: names.get(image.name) ?? image.name } };
  const budget = budgetOf(model);
  const converted =
    options.input === "jpeg"
      ? fromJpeg(found, budget, options, known)
      : fromPlanes(prepare(found, budget, options), options, known);
  checkApproximations(converted.report, options);
  const outputs = model.outputs.flatMap(({ name }) => {
    const now = names.get(name);
    return now === undefined ? [] : [[name, now] as const];
  });
  return outputs.length > 0 ? { ...converted, renamed: new Map(outputs) } : converted;
}

/** Inputs beside the image keep their names: one that the converted model has for itself is refused. */
function checkOthers({ inputs }: Graph, reserved: readonly string[]): void {
  const taken = inputs.slice(1).find(({ name }) => reserved.includes(name));
  if (taken !== undefined)
    throw new ConvertError(
      `the model has an input "${taken.name}" beside the image, as converted models have; expected its values, which then become a constant, or another name`,
    );
}

/**
 * Refuses to call exact what was to be approximated.
 * @throws {ConvertError} where the model has activations, and the plan could approximate none of them.
 */
function checkApproximations(report: NodeReport[], options: ConvertOptions): void {
  const { relu, plan } = settings(options);
  if (relu.kind === "exact") return;
  const found = approximations(report);
  if (found.exact > 0 && found.approximate === 0)
    throw new ConvertError(
      `relu ${formatRelu(options.relu ?? "exact")} would approximate no activation of this model under plan ${plan} ` +
        `(left exact: ${countsOf(found.exactByOperator)}); expected relu exact`,
    );
}

/** Preprocessing ends at planes. From there, plan fused with exact activations is the network itself. */
function fromJpeg(
  found: ImageModel,
  budget: Budget,
  options: ConvertOptions,
  known: Preprocess | undefined,
): Converted {
  const { preprocess, assumed } = preparationFor(found.image, known, options.preprocess);
  const sized = atSize(found, planeSize(found.image, preprocess));
  const prepared = prepare(sized, budget, options);
  const { source, image } = prepared;
  const converted = fromPlanes(prepared, options);
  const metadata = readMetadata(converted.graph) as Metadata;
  const { plan, relu } = settings(options);
  const isSpatial = plan === "fused" && relu.kind === "exact";
  const behind = isSpatial
    ? { ...image, graph: source, input: image.name }
    : { ...image, graph: converted.graph, input: "coefficients", table: metadata.table };
  const { graph, planes, height, width } = enterJpeg(behind, preprocess);
  const report = onPlanes(converted.report, source, preprocess, isSpatial);
  const multiplyAdds = report.reduce((sum, node) => sum + node.multiplyAdds, 0);
  const cost = isSpatial ? { ...converted.cost, multiplyAdds } : converted.cost;
  const entered = { ...graph, metadata: new Map(graph.metadata) };
  writeMetadata(entered, { ...metadata, ...cost, input: "jpeg", preprocess, planes, height, width });
  return { graph: entered, cost, report, ...(assumed && { assumed }) };
}

/** @param known The model's own preprocessing, which its converted form says too, if no other is given. */
function fromPlanes(
  { source, image, budget }: Prepared,
  options: ConvertOptions,
  known?: Preprocess,
): Converted {
  const chosen = settings(options);
  if (chosen.plan === "exploded") checkMemory({ source, image, budget }, options.memoryLimit);
  const cost = noCost();
  const g = new GraphBuilder(`${source.name} in the JPEG domain`, source.opsets.get(""), budget);
  keepContext(g, source);
  const report = LOWER[chosen.plan](source, image, { g, settings: chosen, cost });
  const graph = withRepeated(g.build(), image, options.inputs ?? {});
  const outputs = batchedOutputs(source, image.batch);
  const preprocess = isWhole(options.preprocess ?? {}) ? checkPreprocess(options.preprocess) : known;
  writeMetadata(graph, {
    input: "planes",
    plan: chosen.plan,
    relu: formatRelu(options.relu ?? "exact"),
    channels: image.channels,
    height: image.height,
    width: image.width,
    batch: image.batch,
    batched: source.outputs.flatMap(({ name }) => (outputs.get(name)?.isBatched ? [name] : [])),
    ...([...outputs.values()].some(({ isMixed }) => isMixed) && { oneByOne: true as const }),
    ...(image.type !== "float32" && { type: image.type }),
    ...(preprocess && { preprocess }),
    table: Array.from(chosen.table),
    ...cost,
  });
  return { graph, cost, report };
}

/** What a model's nodes need around them: the versions of their operators, functions, and names not taken by others. */
function keepContext(g: GraphBuilder, source: Graph): void {
  const { opsets, irVersion, functions } = source;
  const domains = new Set(source.nodes.map(({ domain }) => domain));
  for (const [domain, version] of opsets)
    if (functions || domains.has(domain)) g.graph.opsets.set(domain, version);
  if (irVersion) g.graph.irVersion = irVersion;
  if (functions) g.graph.functions = functions;
  for (const { name } of [...source.outputs, ...source.inputs.slice(1)]) g.unique(name);
  for (const name of source.nodes.flatMap((node) => [...subgraphNames(node).made])) g.unique(name);
}

/** A model as conversion takes it. */
interface Prepared extends ImageModel {
  /** What conversion may make. */
  budget: Budget;
}

/** The model rewritten for the plan. */
const prepare = ({ source, image }: ImageModel, budget: Budget, options: ConvertOptions): Prepared => ({
  source: rewrite(source, rewritesFor(settings(options).plan), { partial: true, budget }).graph,
  image,
  budget,
});

/** With planes of one size, where the model leaves it open. */
function atSize({ source, image }: ImageModel, { channels, height, width }: Size): ImageModel {
  const shape = [image.batch, channels, height, width];
  const inputs = source.inputs.map((input, i) => (i === 0 ? { ...input, shape } : input));
  return { source: { ...source, inputs }, image: { ...image, height, width } };
}

/** With the values that are given for each image as constants, where a run is of one image. */
const oneByOne = ({ source, image }: ImageModel, given: InputValues = {}): ImageModel => ({
  source: withConstants(source, { ...image, batch: 1, lengths: new Map([[`${image.batch}`, 1]]) }, given),
  image,
});

/** Multiplications of a spatial model for one image: what a converted one's are to be compared with. */
export function spatialMultiplyAdds(model: Graph, inputs?: InputValues): number {
  const { source, image } = findImage(model, inputs);
  const facts = inferShapes(source, { partial: true });
  const images = typeof image.batch === "number" ? image.batch : 1;
  return source.nodes.reduce((sum, node) => sum + multiplications(node, facts) / images, 0);
}

/** Refuses an exploded network that would not fit, before anything of it is built. */
function checkMemory({ source, image, budget }: Prepared, limit = Number.POSITIVE_INFINITY): void {
  const layers = readLayers(source, image, EXPLODED, budget);
  const bytes = layers.flatMap((layer) =>
    layer.kind === "convolution" || layer.kind === "average" ? operatorBytes(layer) : [],
  );
  const cost = {
    operatorBytes: bytes.reduce((sum, n) => sum + n, 0),
    largestOperatorBytes: bytes.reduce((most, n) => Math.max(most, n), 0),
  };
  if (loadingBytes(cost) > limit)
    throw new ConvertError(
      `plan exploded needs ${gigabytes(loadingBytes(cost))} while loading ${bytes.length} operator tensors, ` +
        `more than the ${gigabytes(limit)} there are; plans fused and blockwise need far less`,
    );
}
