import { JpegDomainError } from "@jpeg-domain/coefficients";
import { describe, type Node } from "../onnx/graph.js";

/** A model, or a node of it, that cannot be converted. */
export class ConvertError extends JpegDomainError {
  override name = "ConvertError";
  /** The operator and name of the node at fault, if it is one. */
  readonly op: string | undefined;
  readonly node: string | undefined;
  constructor(
    readonly reason: string,
    node?: Node,
  ) {
    super(node ? `${describe(node)} cannot be converted: ${reason}` : reason);
    this.op = node?.op;
    this.node = node?.name || node?.outputs[0];
  }
}
