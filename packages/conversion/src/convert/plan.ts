/** A plan: what a converted network does for each kind of layer. */
import type { GraphBuilder } from "../onnx/builder.js";
import type { Cost } from "./cost.js";
import type { Planes, Size } from "./layers.js";
import type { Layer, Lowerings } from "./operators/table.js";
import type { Settings } from "./options.js";
import type { Domain } from "./report.js";

/** `M` stands for a feature map in the graph being built: it knows the names of the map's forms. */
export interface Plan<M extends { size: Size }> {
  /** What it makes of each kind of layer. A kind that is missing is the boundary of the coefficient domain. */
  readonly layers: Lowerings<M>;
  /** Whether the boundary is an error. */
  readonly isStrict?: boolean;
  /** Whether feature maps must be whole 8x8 blocks. */
  readonly takesWholeBlocks?: boolean;
  /**
   * The feature map that the coefficient tensor `coefficients` (`[N, C, X, Y, 64]`) holds.
   * @param readers How many operators read it.
   */
  enter(coefficients: string, size: Size, readers: number): M;
  /** The pixels `[N, C, H, W]` of a coefficient tensor that is no feature map of this plan. */
  planes(coefficients: string, planes: Planes): string;
  /** The feature map's pixels `[N, C, H, W]`: the way out of the coefficient domain. */
  pixels(x: M): string;
  /** The feature map of pixels `[N, C, H, W]` from beyond the boundary. `undefined` if it does not re-enter. */
  reenter?(pixels: string, size: Size): M | undefined;
  /**
   * Whether a layer whose feature maps all come from beyond the boundary re-enters. By default, always.
   * @param isRead Whether a layer reads what it makes.
   */
  reentersFor?(layer: Layer, isRead: boolean): boolean;
}

/** Says where the current node is carried out, and why or how. By default on coefficients. */
export type Note = (domain: Domain, reason: string) => void;

/** What a plan builds with. */
export interface PlanContext {
  g: GraphBuilder;
  settings: Settings;
  cost: Cost;
  note: Note;
}

export type PlanFactory<M extends { size: Size }> = (context: PlanContext) => Plan<M>;
