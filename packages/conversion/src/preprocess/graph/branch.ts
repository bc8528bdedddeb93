import { GraphBuilder } from "../../onnx/builder.js";
import { graphAttribute } from "../../onnx/file.js";
import type { Attribute, ElementType } from "../../onnx/graph.js";

/**
 * `condition ? then() : otherwise()` by the operator `If`, which computes only one of them.
 * @param condition bool, one element.
 * @param type Of the result. Both functions add nodes to `g`, whose values exist only inside the branch.
 */
export function either(
  g: GraphBuilder,
  condition: string,
  type: ElementType,
  then: () => string,
  otherwise: () => string,
): string {
  const attributes = {
    then_branch: branch(g, "then_branch", type, then),
    else_branch: branch(g, "else_branch", type, otherwise),
  };
  return g.node("If", [condition], attributes);
}

/** Moves the nodes that `make` adds to `g` into an attribute. */
function branch(g: GraphBuilder, name: string, type: ElementType, make: () => string): Attribute {
  const { nodes } = g.graph;
  const start = nodes.length;
  const result = make();
  const inner = new GraphBuilder(name).build();
  inner.nodes.push(...nodes.splice(start));
  inner.outputs.push({ name: result, type, shape: undefined });
  return graphAttribute(name, inner);
}
