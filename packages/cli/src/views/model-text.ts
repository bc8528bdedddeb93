/** Describes a model and its conversion as lines of text. */

import type { NodeReport, Preprocess } from "@jpeg-domain/conversion";
import {
  approximations,
  countsOf,
  type ModelSummary,
  NO_MAP,
  REENTERS,
  toldSteps,
} from "@jpeg-domain/conversion/internal";
import { columns, formatCount } from "./format.js";

/** The most characters of a layer's or an operator's name that are shown. */
const LONGEST_NAME = 40;

const millions = (count: number) => `${(count / 1e6).toFixed(count < 1e5 ? 3 : 1)}`;

/** Sums up a conversion: the first operator, the first boundary to pixels, re-entries, activations left exact. */
export function conversionLines(report: readonly NodeReport[]): string[] {
  const inside = report.filter(({ domain }) => domain === "coefficients");
  const lines = [`domains   ${inside.length} of ${report.length} operators on coefficients`];
  const [first] = report;
  if (first?.reason) lines.push(`first     ${first.op} ${first.node}: ${first.reason}`);
  const boundary = report.find(({ domain, reason }) => domain === "pixels" && reason !== NO_MAP);
  const returns = report.filter(({ reason }) => reason?.startsWith(REENTERS)).length;
  if (boundary?.reason && boundary !== first)
    lines.push(`boundary  ${boundary.op} ${boundary.node}: ${boundary.reason}`);
  if (returns > 0) lines.push(`re-enter  ${returns} of them, after operators on pixels`);
  const found = approximations(report);
  const none = found.impossible ? `; none could be of ${countsOf(found.impossible)}` : "";
  if (found.exact > 0)
    lines.push(
      `warning   ${found.exact} of ${found.approximate + found.exact} activations are left exact (${countsOf(found.exactByOperator)}), ${found.approximate} approximated${none}`,
    );
  else if (none !== "") lines.push(`note      ${found.approximate} activations are approximated${none}`);
  return lines;
}

/**
 * Describes a model layer by layer.
 * @param width - characters per line, if possible: reasons that do not fit are numbered and listed below
 */
export function modelLines(summary: ModelSummary, width = Number.POSITIVE_INFINITY): string[] {
  const { operatorSets, nodes, parameters, preprocess, converted, image, layers = [] } = summary;
  const sets = Object.entries(operatorSets).map(([domain, version]) => `${domain} ${version}`);
  const lines = [`ONNX model, ${sets.join(", ")}, ${nodes} nodes, ${formatCount(parameters)} parameters`];
  if (converted) {
    const { plan, relu, input, channels, multiplyAdds } = converted;
    const planes = `${channels}x${converted.height}x${converted.width}`;
    lines.push(`converted: plan ${plan}, ReLU ${relu}, input ${input} of ${planes}`);
    lines.push(`cost: ${millions(multiplyAdds)} million multiply-adds per image`);
    if (preprocess) lines.push(...photographLines(preprocess, width));
    return lines;
  }
  const planes = `${image?.channels}x${image?.height}x${image?.width}`;
  lines.push(
    `image ${planes}; conversion with input ${summary.input}, plan ${summary.plan}, ReLU ${summary.relu}:`,
    "",
  );
  lines.push(...layerTable(layers, width));
  lines.push(
    "",
    `total ${millions(summary.multiplyAdds ?? 0)} million multiply-adds per image, ${millions(summary.spatialMultiplyAdds ?? 0)} in the spatial model`,
  );
  lines.push(...conversionLines(layers));
  if (preprocess) lines.push(...photographLines(preprocess, width));
  return lines;
}

/** How photographs become planes, in lines of at most `width` characters if possible. */
function photographLines(preprocess: Preprocess, width: number): string[] {
  const lines: string[] = [];
  for (const step of toldSteps(preprocess)) {
    const longer = `${lines.at(-1) ?? "photographs:"} ${step},`;
    if (lines.length > 0 && longer.length > width)
      lines.push(`${" ".repeat("photographs:".length)} ${step},`);
    else lines[Math.max(0, lines.length - 1)] = longer;
  }
  return lines.map((line, i) => (i === lines.length - 1 ? line.slice(0, -1) : line));
}

function layerTable(layers: readonly NodeReport[], width: number): string[] {
  const reasons = layers.map(({ reason }) => reason ?? "");
  const wide = withReasons(layers, LONGEST_NAME, reasons);
  if (wide.every((line) => line.length <= width)) return wide;
  const distinct = [...new Set(reasons)].filter((reason) => reason !== "");
  const numbers = reasons.map((reason) => (reason === "" ? "" : String(distinct.indexOf(reason) + 1)));
  const tooWide = Math.max(...withReasons(layers, LONGEST_NAME, numbers).map((line) => line.length)) - width;
  const narrow = withReasons(layers, Math.max(12, LONGEST_NAME - Math.max(0, tooWide)), numbers);
  return [...narrow, "", ...distinct.map((reason, i) => `${i + 1}  ${reason}`)];
}

function withReasons(
  layers: readonly NodeReport[],
  longestName: number,
  reasons: readonly string[],
): string[] {
  const rows = layers.map(({ node, op, domain, multiplyAdds }) => [
    short(node, longestName),
    short(op, LONGEST_NAME),
    domain,
    multiplyAdds === 0 ? "-" : millions(multiplyAdds),
  ]);
  const aligned = columns([["layer", "operator", "domain", "million multiply-adds"], ...rows]);
  return aligned.map((line, i) => `${line}  ${i === 0 ? "why" : reasons[i - 1]}`.trimEnd());
}

/** Keeps the end of a name, which distinguishes layers better than the start. */
const short = (name: string, most: number) => (name.length > most ? `…${name.slice(1 - most)}` : name);
