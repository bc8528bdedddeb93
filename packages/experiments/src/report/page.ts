import type { Evaluation } from "@jpeg-domain/node";
import {
  escapeHtml,
  formatCount,
  formatDuration,
  formatNumber,
  formatPercent,
  formatSmall,
} from "jpeg-domain/internal";
import { coefficientFigure, digitStrip } from "./pictures.js";
import {
  accuracyPlot,
  logitPlot,
  planLabel,
  rmsePlot,
  SMALLEST_DIFFERENCE,
  sizePlot,
  throughputPlot,
  trainingPlot,
} from "./plots.js";
import type { ConvertedEvaluation, NotebookReport } from "./results.js";

const STYLE = `
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1f2430; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 21px; margin: 48px 0 8px; padding-top: 20px; border-top: 1px solid #e3e6ea; }
p { max-width: 46em; margin: 8px 0 14px; }
.about { color: #5b6270; margin-top: 0; }
.result { font-size: 19px; }
table { border-collapse: collapse; font-size: 15px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 0 6px 20px; border-bottom: 1px solid #e3e6ea; text-align: right; white-space: nowrap; }
th:first-child { padding-left: 0; }
thead th { font-weight: 600; white-space: normal; vertical-align: bottom; }
.dense { font-size: 14px; }
.dense th, .dense td { padding: 1px 0 1px 12px; }
.dense th:first-child { padding-left: 0; }
th:first-child, .text td, .text th { text-align: left; }
.text td { white-space: normal; }
tbody th { font-weight: normal; }
h3 { font-size: 16px; margin: 20px 0 8px; }
.scroll { min-width: 0; overflow-x: auto; margin: 12px 0 20px; }
figure { margin: 0; }
figcaption { color: #5b6270; font-size: 14px; text-align: center; }
img { image-rendering: pixelated; display: block; max-width: 100%; height: auto; }
svg { display: block; max-width: 100%; height: auto; }
.digits { display: grid; grid-template-columns: repeat(auto-fill, minmax(64px, 1fr)); gap: 12px 8px; margin: 12px 0 20px; justify-items: center; }
.digits img { border: 1px solid #e3e6ea; }
.pair { display: flex; flex-wrap: wrap; gap: 20px 40px; margin: 16px 0; }
.pair figure { max-width: 350px; }
.pair figure > img { border: 1px solid #e3e6ea; }
.pair figcaption { margin-top: 6px; text-align: left; }
.legend { margin-top: 8px; font-size: 12px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 28px 24px; margin: 16px 0; }
.wide svg { min-width: 600px; }
code { font: 0.92em ui-monospace, monospace; }
@media (max-width: 600px) { main { padding: 20px 14px 40px; } h1 { font-size: 24px; } .result { font-size: 17px; } }
`;

/**
 * Renders the report of a run of the notebook as one self-contained HTML document: styles, plots (SVG) and pictures (PNG)
 * are inside, and there is no script.
 */
export async function renderReport(report: NotebookReport): Promise<string> {
  const title = `Inference on JPEG coefficients: ${report.dataset}`;
  const sections = [
    headline(report, title),
    data(report),
    await training(report),
    transform(report),
    conversion(report),
    await accuracy(report),
    await speed(report),
    run(report),
  ];
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="jpeg-domain">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${sections.join("\n")}
</main>
</body>
</html>
`;
}

function headline(report: NotebookReport, title: string): string {
  const rows: [string, Evaluation | ConvertedEvaluation][] = [
    ["pixel network", report.spatial],
    ["converted, exact ReLU", report.exact],
    ["converted, ASM, n = 10", report.asm10],
  ];
  return `<h1>${escapeHtml(title)}</h1>
<p class="about">${escapeHtml(report.model)}</p>
<p class="result">${keyResult(report)}</p>
${table(
  ["", "correct", "accuracy", "mean loss", "same answer as pixels", "largest logit difference", "images/s"],
  rows.map(([name, evaluation]) => [
    name,
    `${formatCount(evaluation.correct)} of ${formatCount(evaluation.total)}`,
    formatPercent(evaluation.correct / evaluation.total),
    evaluation.meanLoss.toFixed(4),
    ...("samePredictions" in evaluation
      ? [formatCount(evaluation.samePredictions), formatSmall(evaluation.maxLogitDifference)]
      : ["–", "–"]),
    formatNumber(evaluation.imagesPerSecond),
  ]),
)}`;
}

/** The result in words. */
function keyResult({ spatial, exact, asm10 }: NotebookReport): string {
  const same =
    exact.samePredictions === exact.total
      ? `on all ${formatCount(exact.total)} test images`
      : `on ${formatCount(exact.samePredictions)} of ${formatCount(exact.total)} test images`;
  const difference = asm10.correct - spatial.correct;
  const compared =
    difference === 0
      ? "as many as the pixel network"
      : `${formatCount(Math.abs(difference))} ${difference < 0 ? "fewer" : "more"} than the pixel network`;
  return `Converted to take DCT coefficients, the network gives the same answer as on pixels <strong>${same}</strong>;
no logit differs by more than ${formatSmall(exact.maxLogitDifference)}. With ReLU approximated from the spatial
frequencies up to 10 of 14, it is right on ${formatCount(asm10.correct)}, ${compared}.`;
}

function data({ dataset, trainDigits, testDigits }: NotebookReport): string {
  return section(
    "The data",
    `<p>Random images of ${escapeHtml(dataset)} with their labels, padded with zeros to whole 8 × 8 blocks.</p>
<h3>Training images</h3>${digitStrip(trainDigits)}
<h3>Test images</h3>${digitStrip(testDigits)}`,
  );
}

async function training({ training: points, spatial }: NotebookReport): Promise<string> {
  const outcome = `It is right on ${formatCount(spatial.correct)} of ${formatCount(spatial.total)} test images.`;
  if (points.length === 0) {
    return section(
      "The pixel network",
      `<p>A trained network was loaded; this run did no training. ${outcome}</p>`,
    );
  }
  const epochs = new Set(points.map(({ epoch }) => epoch)).size;
  return section(
    "Training on pixels",
    `<p>The network is trained on ordinary pixels for ${count(epochs, "epoch")}; nothing is compressed yet. ${outcome}
The thin line is the loss of each step, the thick line its running mean.</p>
<div class="scroll wide">${await trainingPlot(points)}</div>`,
  );
}

function transform({ coefficients, reconstructedDigits, reconstructionError }: NotebookReport): string {
  return section(
    "The JPEG transform",
    `<p>Each image becomes blocks of 64 DCT coefficients, in zigzag order and divided by the quantisation table, but not
rounded: no information is lost. Most coefficients are near zero.</p>
${coefficientFigure(coefficients)}
<h3>Test images after compression and decompression</h3>
${digitStrip(reconstructedDigits)}
<p>The largest difference in a pixel is ${formatSmall(reconstructionError)}.</p>`,
  );
}

function conversion({ conversionMilliseconds }: NotebookReport): string {
  return section(
    "Conversion",
    `<p>Every operator of the trained network is rewritten once, so that it takes coefficients and gives coefficients. No
training follows.</p>
${table(
  ["conversion", "time"],
  Object.entries(conversionMilliseconds).map(([name, time]) => [name, formatDuration(time / 1000)]),
)}`,
  );
}

async function accuracy({ frequencies, rmse, spatial }: NotebookReport): Promise<string> {
  const plots = [
    ...(frequencies.length > 0
      ? [await accuracyPlot(frequencies, spatial.correct / spatial.total), await logitPlot(frequencies)]
      : []),
    ...(rmse.length > 0 ? [await rmsePlot(rmse)] : []),
  ];
  const clamped = frequencies.some(({ maxLogitDifference }) => maxLogitDifference < SMALLEST_DIFFERENCE)
    ? ` A logit difference below ${formatSmall(SMALLEST_DIFFERENCE)} is drawn as that.`
    : "";
  if (plots.length === 0) return section("The approximated ReLU", "<p>This run did not measure it.</p>");
  return section(
    "The approximated ReLU",
    `<p>ReLU is the only operator that is not linear. ASM takes only the sign of each pixel from the low spatial frequencies,
those whose vertical and horizontal index add up to at most n, and keeps the block's full values. APX, the paper's baseline,
takes the values from them too. With n = 14 both are exact up to rounding.${clamped}</p>
<div class="plots">${plots.join("\n")}
${frequencies.length > 0 ? frequencyTable(frequencies) : ""}</div>`,
  );
}

function frequencyTable(points: NotebookReport["frequencies"]): string {
  const counts = [...new Set(points.map(({ n }) => n))].sort((a, b) => a - b);
  const columns = (["asm", "apx"] as const).map((relu) =>
    counts.map((n) => points.find((point) => point.relu === relu && point.n === n)),
  );
  return table(
    ["n", "ASM correct", "APX correct", "ASM logit difference", "APX logit difference"],
    counts.map((n, row) => [
      String(n),
      ...columns.map((column) => (column[row] === undefined ? "–" : formatCount(column[row].correct))),
      ...columns.map((column) =>
        column[row] === undefined ? "–" : formatSmall(column[row].maxLogitDifference),
      ),
    ]),
    "dense",
  );
}

async function speed({ plans }: NotebookReport): Promise<string> {
  if (plans.length === 0) return section("Speed and size", "<p>This run did not measure them.</p>");
  const notes = plans.flatMap((plan) => (plan.note === undefined ? [] : [[planLabel(plan), plan.note]]));
  return section(
    "Speed and size",
    `<p>${fastest(plans)} <code>exploded</code> is the notebook's own form: each convolution is one dense tensor over all
blocks. <code>blockwise</code> and <code>fused</code> compute the same with less memory.</p>
<div class="plots">${await throughputPlot(plans)}${await sizePlot(plans)}</div>
${notes.length > 0 ? table(["plan", "note"], notes, "text") : ""}`,
  );
}

function fastest(plans: NotebookReport["plans"]): string {
  const converted = plans.filter(({ plan }) => plan !== "spatial");
  if (converted.length === 0) return "";
  const best = converted.reduce((a, b) => (b.imagesPerSecond > a.imagesPerSecond ? b : a));
  const pixels = plans.find(({ plan }) => plan === "spatial");
  const ratio =
    pixels === undefined
      ? ""
      : `, ${formatNumber(best.imagesPerSecond / pixels.imagesPerSecond)} times the pixel network's rate`;
  return `The fastest plan, ${escapeHtml(planLabel(best))}, runs ${formatNumber(best.imagesPerSecond)} images per
second${ratio}. Reading files is not included.`;
}

function run({ seconds, machine, versions }: NotebookReport): string {
  const total = Object.values(seconds).reduce((sum, time) => sum + time, 0);
  const stages = Object.entries(seconds).map(([stage, time]) => [stage, formatDuration(time)]);
  return section(
    "This run",
    `<p>Measured on ${escapeHtml(machine)}.</p>
<div class="plots">
${table(["stage", "time"], [...stages, ["all", formatDuration(total)]])}
${table(["software", "version"], Object.entries(versions))}
</div>`,
  );
}

function section(title: string, content: string): string {
  return `<section><h2>${escapeHtml(title)}</h2>\n${content}</section>`;
}

/** A table of plain text; the first cell of each row is its header. */
function table(head: string[], rows: string[][], style: "" | "text" | "dense" = ""): string {
  const header = head.map((cell) => `<th scope="col">${escapeHtml(cell)}</th>`).join("");
  const body = rows.map(([first = "", ...rest]) => {
    const cells = rest.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("");
    return `<tr><th scope="row">${escapeHtml(first)}</th>${cells}</tr>`;
  });
  return `<div class="scroll"><table class="${style}"><thead><tr>${header}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

function count(value: number, noun: string): string {
  return `${formatCount(value)} ${noun}${value === 1 ? "" : "s"}`;
}
