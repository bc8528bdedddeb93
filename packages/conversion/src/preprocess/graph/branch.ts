import { GraphBuilder } from "../../onnx/builder.js";
import { graphAttribute } from "../../onnx/file.js";
import type { Attribute, ElementType } from "../../onnx/graph.js";

/**
 * `condition ? then() : otherwise()` of which only one is computed, by operator `If`.
 * @param condition bool, one element.
 * @param type Of what both make. They add their nodes to `g`, and these are known only inside the branch.
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

/** An attribute that holds the nodes which `make` adds to `g`, moved there. */
function branch(g: GraphBuilder, name: string, type: ElementType, make: () => string): Attribute {
  const { nodes } = g.graph;
  const start = nodes.length;
  const result = make();
  const inner = new GraphBuilder(name).build();
  inner.nodes.push(...nodes.splice(start));
  inner.outputs.push({ name: result, type, shape: undefined });
  return graphAttribute(name, inner);
}
