import type { Graph } from "../onnx/graph.js";
import type { Preprocess } from "../preprocess/preprocess.js";
import { convertGraph, spatialMultiplyAdds } from "./convert.js";
import { findImage } from "./image-input.js";
import type { Planes } from "./layers.js";
import { type Metadata, readMetadata, readPreprocess } from "./metadata.js";
import { type ConvertOptions, formatRelu, settings } from "./options.js";
import { type Approximations, approximations, type NodeReport } from "./report.js";

/** What a model file is, and where its layers would be, or have been, carried out. */
export interface ModelSummary {
  name: string;
  /** Operator set versions by domain, the standard one under `ai.onnx`. */
  operatorSets: Record<string, number>;
  nodes: number;
  parameters: number;
  /** How it says that photographs become its planes. */
  preprocess?: Preprocess;
  /** Of a model that is converted already. */
  converted?: Metadata;
  /** Of a spatial model, what conversion would make of it. */
  image?: Planes;
  input?: string;
  plan?: string;
  relu?: string;
  spatialMultiplyAdds?: number;
  multiplyAdds?: number;
  /** Where ReLUs are to be approximated: what becomes of the activations. */
  activations?: Approximations;
  layers?: NodeReport[];
}

/**
 * Sums up a model: of a spatial one, how it would be converted.
 * @throws {ConvertError} as `convert` does.
 */
export function summarizeModel(graph: Graph, options: ConvertOptions = {}): ModelSummary {
  const sizes = [...graph.initializers.values()].map(({ dims }) => dims.reduce((a, b) => a * b, 1));
  const preprocess = readPreprocess(graph);
  const general = {
    name: graph.name,
    operatorSets: Object.fromEntries(
      [...graph.opsets].map(([domain, version]) => [domain || "ai.onnx", version]),
    ),
    nodes: graph.nodes.length,
    parameters: sizes.reduce((a, b) => a + b, 0),
    ...(preprocess && { preprocess }),
  };
  const converted = readMetadata(graph);
  if (converted) return { ...general, converted };
  const { channels, height, width } = findImage(graph, options.inputs).image;
  const { cost, report } = convertGraph(graph, options);
  const isExact = settings(options).relu.kind === "exact";
  return {
    ...general,
    image: { channels, height, width },
    input: options.input ?? "planes",
    plan: options.plan ?? "fused",
    relu: formatRelu(options.relu ?? "exact"),
    spatialMultiplyAdds: spatialMultiplyAdds(graph, options.inputs),
    multiplyAdds: cost.multiplyAdds,
    ...(!isExact && { activations: approximations(report) }),
    layers: report,
  };
}
