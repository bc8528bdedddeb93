/**
 * The engine of a conversion: carries every node of a model over, on coefficients as far as rules reach, else on pixels.
 *
 * Every value is a feature map in the plan's keeping, or a tensor under its name. A node that reads a feature map goes
 * by its operator's rule. Where there is none, or it does not apply, is the border: the map's pixels are taken, and the
 * node is copied as it is, with all that depends on it, as far as the plan does not take feature maps back (border.ts).
 */
import { LimitError } from "../onnx/budget.js";
import type { GraphBuilder } from "../onnx/builder.js";
import type { Facts } from "../onnx/facts.js";
import { type Dimension, type Graph, type Node, ruleFor, type ValueInfo } from "../onnx/graph.js";
import { inferShapes } from "../onnx/infer.js";
import { renameInSubgraphs } from "../onnx/subgraph.js";
import { Border } from "./border.js";
import { ConvertError } from "./errors.js";
import type { ImageInput } from "./image-input.js";
import { isSized, isWholeBlocks } from "./layers.js";
import { multiplications } from "./operations.js";
import { isPiecewiseLinear } from "./operators/activations.js";
import { RULES } from "./operators/table.js";
import type { Cost, Domain, Note, Plan } from "./plan.js";
import { EXACT, NO_MAP, type NodeReport } from "./report.js";
import { Conversion, hasOwnRules, type PlanWithRules, type Value } from "./rule.js";

export interface CarryOptions {
  /** What the plan counts in; copied nodes are added to it. */
  cost: Cost;
  /** Whether a node without rule ends the conversion (plan `exploded`) rather than the coefficient domain. */
  strict: boolean;
  /** Whether ReLUs are approximated where they can be; it is told of those that cannot. */
  approximate: boolean;
  /** Makes the plan, which tells `note` where and how it carries out the node in hand. */
  plan: (note: Note) => Plan | PlanWithRules;
}

/** Where a node is carried out, and why there. */
interface Place {
  domain: Domain;
  reason?: string | undefined;
}

interface Work {
  source: Graph;
  image: ImageInput;
  g: GraphBuilder;
  plan: Plan | PlanWithRules;
  note: Note;
  cost: Cost;
  strict: boolean;
  approximate: boolean;
  facts: Map<string, Facts>;
  /** What each value of `source` has become; initialisers are added when they are read. */
  values: Map<string, Value>;
  border: Border;
}

/**
 * Builds in `g` what `source` computes, from the coefficients of its image.
 * @returns Where each node went.
 */
export function carry(
  source: Graph,
  image: ImageInput,
  g: GraphBuilder,
  { cost, strict, approximate, plan: makePlan }: CarryOptions,
): NodeReport[] {
  let place: Place = { domain: "coefficients" };
  const note: Note = (domain, reason) => {
    place = { domain, reason };
  };
  const plan = makePlan(note);
  const facts = inferShapes(source, { partial: true, budget: g.budget.whole() });
  const values = new Map<string, Value>();
  const border = new Border(source, plan, facts, values);
  const work: Work = { source, image, g, plan, note, cost, strict, approximate, facts, values, border };
  const unsized = enter(work);
  for (const input of source.inputs.slice(1)) enterOther(work, input);

  const report = source.nodes.map((node) => {
    const before = cost.multiplyAdds;
    place = { domain: "coefficients" };
    const outside = border.reasonToCopy(node);
    if (outside === undefined) convertNode(work, node);
    else copy(work, node, (node.inputs.includes(image.name) && unsized) || outside);
    if (place.domain === "coefficients") place.reason = joined(border.reentrance(node), place.reason);
    const operator = node.domain ? `${node.domain}.${node.op}` : node.op;
    const name = node.name || node.outputs[0] || "";
    return { node: name, op: operator, ...place, multiplyAdds: cost.multiplyAdds - before };
  });
  for (const { name, type, shape } of source.outputs)
    g.output(tensor(work, name), name, type, merged(facts.get(name)?.shape, shape, image.batch));
  return report;
}

/** The lengths that are known of an output. Whether the first is the batch is the model's to say, where it can be. */
function merged(
  made: Dimension[] | undefined,
  declared: Dimension[] | undefined,
  batch: Dimension,
): Dimension[] | undefined {
  if (made === undefined || declared?.length !== made.length) return made ?? declared;
  if (typeof batch === "string" && made[0] === batch) return made;
  return [...declared.slice(0, 1), ...made.slice(1)];
}

const joined = (...parts: (string | undefined)[]): string | undefined =>
  parts.filter((part) => part !== undefined).join(": ") || undefined;

/** Makes the image of the coefficients. Returns why it is no feature map of the plan, if it is none. */
function enter({ image, g, plan, strict, values, border }: Work): string | undefined {
  const { name, batch, channels, height, width } = image;
  const blocks = [height, width].map((length) =>
    typeof length === "number" ? Math.ceil(length / 8) : `${length}_blocks`,
  );
  const coefficients = g.input("coefficients", "float32", [batch, channels, ...blocks, 64]);
  const why = !isSized(image)
    ? `input "${name}" is ${height}x${width}, a size known only at run time`
    : plan.wholeBlocks && !isWholeBlocks(image)
      ? `input "${name}" is ${height}x${width}, which is not whole 8x8 blocks; expected multiples of 8`
      : undefined;
  if (why !== undefined && strict) throw new ConvertError(why);
  values.set(
    name,
    why === undefined && isSized(image)
      ? { kind: "map", map: plan.enter(coefficients, image, border.readersOf(name).length), size: image }
      : { kind: "tensor", name: plan.planes(coefficients, image) },
  );
  return why;
}

/** Takes an input beside the image over, under its name. */
function enterOther({ g, values }: Work, input: ValueInfo): void {
  if (g.graph.inputs.some(({ name }) => name === input.name))
    throw new ConvertError(
      `the model has an input "${input.name}", as the converted one is to have for the image; expected its values, as an option, or another name`,
    );
  g.graph.inputs.push(input);
  values.set(input.name, { kind: "tensor", name: input.name });
}

const KNOWN = `rules exist for ${Object.keys(RULES).join(", ")}`;

/** Converts a node that reads a feature map by its rule, or else copies it. */
function convertNode(work: Work, node: Node): void {
  const { plan, g, source, facts, values, note, border } = work;
  const call = new Conversion(node, plan, g, source, facts, values, note);
  try {
    const rules = hasOwnRules(plan) ? plan.rules : RULES;
    const rule = ruleFor(rules, node);
    if (node.op !== "Split" && node.outputs.slice(1).some(border.isNeeded))
      call.refuse("another of its outputs is needed than the first");
    const results =
      rule?.(call) ??
      call.refuse(`no rule for this operator on coefficients${work.strict ? `; ${KNOWN}` : ""}`);
    for (const [i, result] of [results].flat().entries()) values.set(node.outputs[i] ?? "", result);
  } catch (error) {
    const isLimit = error instanceof LimitError;
    if (work.strict || !(isLimit || error instanceof ConvertError)) throw error;
    copy(work, node, isLimit ? error.message : error.reason);
  }
}

const isApproximable = ({ op, domain }: Node) => domain === "" && isPiecewiseLinear(op);

/** Takes a node over as it is: it works on tensors. */
function copy(work: Work, node: Node, reason: string): void {
  const { g, facts, values, cost, image, approximate, border, note } = work;
  const inputs = node.inputs.map((input) => (input === "" ? "" : tensor(work, input)));
  const isExact = approximate && isApproximable(node) && reason !== NO_MAP;
  note("pixels", isExact ? `${EXACT}${reason}` : reason);
  const outputs = node.outputs.map((output) => (output === "" ? "" : g.unique(output)));
  g.copy(
    renameInSubgraphs(node, (name) => tensor(work, name)),
    inputs,
    outputs,
  );
  const images = typeof image.batch === "number" ? image.batch : 1;
  cost.multiplyAdds += multiplications(node, facts) / images;
  for (const [i, output] of node.outputs.entries())
    if (output !== "") values.set(output, border.made(node, i, outputs[i] as string));
}

/** The name of a value's tensor in the graph being built. */
function tensor({ source, g, plan, values }: Work, name: string): string {
  const value = values.get(name);
  if (value !== undefined) return value.kind === "map" ? plan.pixels(value.map) : value.name;
  const constant = source.initializers.get(name);
  if (constant === undefined) throw new ConvertError(`nothing makes the value "${name}"`);
  const added = g.constant(name, constant);
  values.set(name, { kind: "tensor", name: added });
  return added;
}
