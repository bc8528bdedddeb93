import { formatBytes, formatNumber, formatPercent, formatPowerOfTen } from "jpeg-domain/internal";
import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import {
  type FrequencyPoint,
  labelOf,
  type PlanMeasurement,
  type RmsePoint,
  type TrainingPoint,
} from "./results.js";

/** Okabe and Ito's palette, which people with any colour vision can distinguish. */
const BLUE = "#0072b2";
const ORANGE = "#d55e00";
const GREY = "#8a8f98";
const INK = "#1f2430";
const FAINT = "#e3e6ea";

/** Size of a whole plot with its axes, in CSS pixels: two fit side by side. */
const WIDTH = 464;
const HEIGHT = 330;
const SIZE = { width: WIDTH, height: HEIGHT, autosize: { type: "fit", contains: "padding" } } as const;
const LAST_FREQUENCY = 14;

/** Smaller differences, down to zero, are drawn here on a logarithmic axis. Float32 does not resolve them. */
export const SMALLEST_DIFFERENCE = 1e-7;

/**
 * Without a canvas Vega overestimates the width of text, and pushes the title out of the picture if an axis title seems
 * longer than its axis: keep axis titles short.
 */
const CONFIG: TopLevelSpec["config"] = {
  font: "system-ui, sans-serif",
  background: "transparent",
  aria: false,
  view: { stroke: null },
  title: {
    anchor: "start",
    frame: "bounds",
    subtitleColor: INK,
    subtitleFontSize: 12,
    color: INK,
    fontSize: 14,
    fontWeight: 600,
    offset: 12,
  },
  axis: {
    labelColor: INK,
    titleColor: INK,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: "normal",
    titlePadding: 8,
    labelFlush: false,
    gridColor: FAINT,
    domainColor: GREY,
    tickColor: GREY,
    labelLimit: 400,
  },
  legend: { labelFontSize: 12, labelColor: INK, orient: "top", title: null, symbolStrokeWidth: 2 },
  text: { color: INK, fontSize: 12 },
};

const RELU_COLOUR = { domain: ["ASM", "APX"], range: [BLUE, ORANGE] };
const RELU_SHAPE = { domain: ["ASM", "APX"], range: ["circle", "square"] };
const FREQUENCY_AXIS = {
  field: "n",
  type: "quantitative",
  scale: { domain: [0, LAST_FREQUENCY], nice: false },
  axis: {
    title: "spatial frequencies kept, n",
    values: Array.from({ length: 15 }, (_, n) => n),
    grid: false,
  },
} as const;

/** The loss of every step with its running mean, and below it the test accuracy, if measured. */
export async function trainingPlot(training: readonly TrainingPoint[]): Promise<string> {
  const accuracies = training.flatMap(({ epoch, step, testAccuracy }) =>
    testAccuracy === undefined
      ? []
      : [{ epoch, step, percent: testAccuracy * 100, text: formatPercent(testAccuracy) }],
  );
  const losses = training.map(({ step, loss }) => ({ step, loss: Math.max(loss, 1e-6) }));
  const lastStep = training.reduce((last, { step }) => Math.max(last, step), 0);
  const half = Math.max(1, Math.round(training.length / 80));
  const x = { field: "step", type: "quantitative", scale: { domain: [0, lastStep], nice: false } } as const;
  const width = 820;
  const lossPanel = {
    title: "Training loss",
    width,
    height: 200,
    data: { values: losses },
    layer: [
      {
        mark: { type: "line", color: BLUE, opacity: 0.3, strokeWidth: 1 },
        encoding: { y: { field: "loss", type: "quantitative" } },
      },
      {
        transform: [
          {
            window: [{ op: "mean", field: "loss", as: "mean" }],
            frame: [-half, half],
            sort: [{ field: "step" }],
          },
        ],
        mark: { type: "line", color: BLUE, strokeWidth: 2 },
        encoding: { y: { field: "mean", type: "quantitative" } },
      },
    ],
    encoding: {
      x: { ...x, axis: { title: null, grid: false } },
      y: {
        scale: { type: "log", nice: false },
        axis: {
          title: "loss (nats, log scale)",
          values: logTicks(losses.map(({ loss }) => loss)),
          format: "~g",
          maxExtent: 36,
          minExtent: 36,
        },
      },
    },
  } as const;
  const accuracyPanel = {
    title: "Test accuracy",
    width,
    height: 120,
    data: { values: accuracies },
    layer: [
      { mark: { type: "line", color: ORANGE, strokeWidth: 2, point: { color: ORANGE, size: 50 } } },
      {
        mark: { type: "text", align: "right", dx: -6, dy: -9 },
        encoding: { text: { field: "text" } },
      },
    ],
    encoding: {
      x: { ...x, axis: { title: "training step", grid: false } },
      y: {
        field: "percent",
        type: "quantitative",
        scale: { zero: false, nice: true, padding: 16 },
        axis: { title: "correct (%)", tickCount: 4, maxExtent: 36, minExtent: 36 },
      },
    },
  } as const;
  return render(
    { vconcat: accuracies.length > 0 ? [lossPanel, accuracyPanel] : [lossPanel], spacing: 24 },
    "Training loss per step and test accuracy per epoch",
  );
}

/** Accuracy against frequencies kept for both approximations, with a line at the pixel network's accuracy. */
export async function accuracyPlot(
  points: readonly FrequencyPoint[],
  spatialAccuracy: number,
): Promise<string> {
  const values = points.map(({ n, relu, correct, total }) => ({
    n,
    relu: relu.toUpperCase(),
    percent: (100 * correct) / total,
  }));
  // From a round number below the worst up to 100 %.
  const least = 10 * Math.floor(Math.min(90, ...values.map(({ percent }) => percent)) / 10);
  return render(
    {
      title: "Accuracy",
      ...SIZE,
      layer: [
        {
          data: {
            values: [
              { percent: 100 * spatialAccuracy, text: `pixel network ${formatPercent(spatialAccuracy)}` },
            ],
          },
          layer: [
            { mark: { type: "rule", color: INK, strokeDash: [5, 4] } },
            {
              mark: { type: "text", align: "right", x: "width", dy: 12 },
              encoding: { text: { field: "text" } },
            },
          ],
          encoding: { y: { field: "percent", type: "quantitative" } },
        },
        {
          data: { values },
          mark: { type: "line", point: { size: 45, filled: true }, strokeWidth: 2 },
          encoding: frequencyEncoding("percent"),
        },
      ],
      encoding: {
        y: { scale: { domain: [least, 100] }, axis: { title: "correct (%)", tickCount: 6 } },
      },
    },
    "Accuracy against spatial frequencies kept",
  );
}

/** Largest difference of a logit from the pixel network's, on a logarithmic axis. */
export async function logitPlot(points: readonly FrequencyPoint[]): Promise<string> {
  const values = points.map(({ n, relu, maxLogitDifference }) => ({
    n,
    relu: relu.toUpperCase(),
    difference: Math.max(maxLogitDifference, SMALLEST_DIFFERENCE),
  }));
  const exponents = values.map(({ difference }) => Math.log10(difference));
  const from = Math.floor(Math.min(...exponents));
  const to = Math.max(Math.ceil(Math.max(...exponents)), from + 1);
  const powers = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const labels = JSON.stringify(powers.map(formatPowerOfTen));
  return render(
    {
      title: "Largest logit difference from pixels",
      ...SIZE,
      data: { values },
      mark: { type: "line", point: { size: 45, filled: true }, strokeWidth: 2 },
      encoding: {
        ...frequencyEncoding("difference"),
        y: {
          field: "difference",
          type: "quantitative",
          scale: { type: "log", domain: [10 ** from, 10 ** to] },
          axis: {
            title: "difference (log scale)",
            values: powers.map((power) => 10 ** power),
            labelExpr: `${labels}[round(log(datum.value) / LN10) - (${from})]`,
          },
        },
      },
    },
    "Largest logit difference against spatial frequencies kept",
  );
}

/** The paper's figure: the error of ReLU alone, approximated from n frequencies. */
export async function rmsePlot(points: readonly RmsePoint[]): Promise<string> {
  const values = points.flatMap(({ n, asm, apx }) => [
    { n, relu: "ASM", rmse: asm },
    { n, relu: "APX", rmse: apx },
  ]);
  return render(
    {
      title: "Error of the approximated ReLU",
      ...SIZE,
      data: { values },
      mark: { type: "line", point: { size: 45, filled: true }, strokeWidth: 2 },
      encoding: {
        ...frequencyEncoding("rmse"),
        y: { field: "rmse", type: "quantitative", axis: { title: "root mean square error", tickCount: 6 } },
      },
    },
    "Root mean square error of the approximated ReLU against spatial frequencies kept",
  );
}

/** Images per second of each plan. */
export async function throughputPlot(plans: readonly PlanMeasurement[]): Promise<string> {
  const values = plans.map((plan) => ({
    plan: planLabel(plan),
    value: plan.imagesPerSecond,
    text: formatNumber(plan.imagesPerSecond),
    group: plan.plan === "spatial" ? "pixels" : "coefficients",
  }));
  return render(
    bars("Throughput", "images per second (log scale)", "~s", values, {
      domain: ["pixels", "coefficients"],
      range: [GREY, BLUE],
    }),
    "Images per second of each plan",
  );
}

/** Bytes of each plan's file, and of its operators after loading. */
export async function sizePlot(plans: readonly PlanMeasurement[]): Promise<string> {
  const values = plans.flatMap((plan) => [
    { plan: planLabel(plan), value: plan.fileBytes, text: formatBytes(plan.fileBytes), group: "file" },
    {
      plan: planLabel(plan),
      value: plan.operatorBytes,
      text: formatBytes(plan.operatorBytes),
      group: "operators",
    },
  ]);
  return render(
    bars(
      "Size",
      "bytes (log scale)",
      "~s",
      values,
      { domain: ["file", "operators"], range: [BLUE, ORANGE] },
      true,
    ),
    "Bytes of each plan's file and operators",
  );
}

/** The plan's name in plots. The spatial model is the "pixel network". */
export const planLabel = (plan: PlanMeasurement): string =>
  plan.plan === "spatial" ? "pixel network" : labelOf(plan);

interface Bar {
  plan: string;
  value: number;
  text: string;
  group: string;
}

function bars(
  title: string,
  axisTitle: string,
  format: string,
  values: Bar[],
  colour: { domain: string[]; range: string[] },
  grouped = false,
) {
  const positive = values.map(({ value }) => value).filter((value) => value > 0);
  const least = positive.length > 0 ? Math.min(...positive) : 1;
  const largest = positive.length > 0 ? Math.max(...positive) : 10;
  // A bar on a logarithmic scale has no natural start. The power of ten below half the smallest value shows all bars.
  const foot = 10 ** Math.floor(Math.log10(least / 2));
  const decades = Math.ceil(Math.log10(largest / foot));
  const rows = new Set(values.map(({ plan }) => plan)).size;
  const data = values.map((bar) => ({ ...bar, foot, value: Math.max(bar.value, foot) }));
  const groups = grouped ? { yOffset: { field: "group", sort: colour.domain } } : {};
  return {
    title,
    ...SIZE,
    height: 110 + rows * 36,
    data: { values: data },
    encoding: {
      y: {
        field: "plan",
        type: "nominal",
        sort: null,
        axis: { title: null, ticks: false, domain: false, labelPadding: 8, maxExtent: 110, minExtent: 110 },
        scale: { paddingInner: 0.25 },
      },
      ...groups,
      x: {
        field: "value",
        type: "quantitative",
        // The extra length on the right leaves room for the values.
        scale: { type: "log", domain: [foot, foot * (largest / foot) ** 1.3], nice: false },
        axis: {
          title: axisTitle,
          format,
          grid: false,
          values: Array.from({ length: decades + 1 }, (_, i) => foot * 10 ** i),
        },
      },
    },
    layer: [
      {
        mark: { type: "bar" },
        encoding: { x2: { field: "foot" }, color: { field: "group", type: "nominal", scale: colour } },
      },
      { mark: { type: "text", align: "left", dx: 5 }, encoding: { text: { field: "text" } } },
    ],
  } as const;
}

/** Powers of ten; also 2 and 5 times them if the values span a small range. */
function logTicks(values: readonly number[]): number[] {
  const least = values.reduce((a, b) => Math.min(a, b));
  const largest = values.reduce((a, b) => Math.max(a, b));
  const multiples = largest / least > 100 ? [1] : [1, 2, 5];
  const from = Math.floor(Math.log10(least));
  const decades = Math.ceil(Math.log10(largest)) - from + 1;
  return Array.from({ length: decades }, (_, i) => 10 ** (from + i)).flatMap((power) =>
    multiples.map((m) => m * power),
  );
}

function frequencyEncoding(field: string) {
  return {
    x: FREQUENCY_AXIS,
    y: { field, type: "quantitative" },
    color: { field: "relu", type: "nominal", scale: RELU_COLOUR },
    shape: { field: "relu", type: "nominal", scale: RELU_SHAPE },
  } as const;
}

/** Draws a specification as a self-contained SVG element. */
async function render(spec: object, description: string): Promise<string> {
  const compiled = compile({ ...spec, config: CONFIG, padding: 4 } as TopLevelSpec);
  const view = new vega.View(vega.parse(compiled.spec), { renderer: "none", logLevel: vega.Warn });
  try {
    const svg = await view.toSVG();
    return svg.replace("<svg ", `<svg role="img" aria-label="${description}" `);
  } finally {
    view.finalize();
  }
}
