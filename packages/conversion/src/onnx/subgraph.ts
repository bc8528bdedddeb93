/** The graphs inside `If`, `Loop` and `Scan`. Only the names that they share with the outer graph matter here. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ExternalFiles } from "./external.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
} from "./generated/onnx_pb.js";
import type { Attribute, Graph, Node } from "./graph.js";
import { Names } from "./names.js";
import { inlined } from "./tensors.js";

interface Shared {
  /** Names of the outer graph that a graph reads. */
  read: Set<string>;
  /** Names of its own values. */
  made: Set<string>;
}

/** The names that a node's subgraphs read from the outer graph, and those of their own values. */
export function subgraphNames(node: Node): Shared {
  const names: Shared = { read: new Set(), made: new Set() };
  for (const graph of subgraphs(node)) collect(graph, OUTSIDE, names);
  return names;
}

/** All names in use: of values, of nodes, and of values in subgraphs. */
const namesOf = ({ inputs, outputs, initializers, nodes }: Graph): Set<string> =>
  new Set([
    ...[...inputs, ...outputs].map(({ name }) => name),
    ...initializers.keys(),
    ...nodes.flatMap((node) => [node.name, ...node.outputs, ...subgraphNames(node).made]),
  ]);

/** The names in use in a graph: new ones differ from them. */
export const freshNames = (graph: Graph): Names => new Names(namesOf(graph));

/** All that a node reads: its inputs, and what its subgraphs read from the outer graph. */
export const reads = (node: Node): string[] =>
  hasSubgraph(node) ? [...node.inputs, ...subgraphNames(node).read] : node.inputs;

export const hasSubgraph = ({ attributes }: Node): boolean =>
  [...attributes.values()].some(({ kind }) => kind === "opaque");

/** The node with names of the outer graph replaced in its subgraphs. */
export const renameInSubgraphs = (node: Node, rename: (name: string) => string): Node =>
  changed(node, (graph) => replace(graph, rename, OUTSIDE));

/** The node with all names in its subgraphs replaced. */
export const renameWithinSubgraphs = (node: Node, rename: (name: string) => string): Node =>
  changed(node, (graph) => replace(graph, rename));

function changed(node: Node, change: (graph: GraphProto) => void): Node {
  if (!hasSubgraph(node)) return node;
  const attributes = new Map(
    [...node.attributes].map(([name, attribute]): [string, Attribute] => {
      if (attribute.kind !== "opaque") return [name, attribute];
      const proto = decode(attribute.value);
      for (const graph of graphsOf(proto)) change(graph);
      return [name, { kind: "opaque", value: toBinary(AttributeProtoSchema, proto) }];
    }),
  );
  return { ...node, attributes };
}

const decode = (bytes: Uint8Array) => fromBinary(AttributeProtoSchema, bytes);

/** The graphs in an attribute. */
export const graphsOf = ({ type, g, graphs }: AttributeProto): GraphProto[] =>
  type === AttributeType.GRAPH ? (g ? [g] : []) : type === AttributeType.GRAPHS ? graphs : [];

const subgraphs = ({ attributes }: Node): GraphProto[] =>
  [...attributes.values()].flatMap((attribute) =>
    attribute.kind === "opaque" ? graphsOf(decode(attribute.value)) : [],
  );

const own = (graph: GraphProto): string[] => [
  ...graph.input.map(({ name }) => name),
  ...graph.initializer.map(({ name }) => name),
  ...graph.sparseInitializer.map(({ values }) => values?.name ?? ""),
  ...graph.node.flatMap(({ output }) => output),
];

/** The names that nodes of a subgraph find inside: its own, and those of subgraphs around it. */
interface Scope {
  has(name: string): boolean;
}

function scopeOf(graph: GraphProto, around: Scope): Scope {
  const names = new Set(own(graph));
  return { has: (name) => names.has(name) || around.has(name) };
}

/** Of the outer graph, whose names are no names inside. */
const OUTSIDE: Scope = { has: () => false };

function collect(graph: GraphProto, around: Scope, names: Shared): void {
  const scope = scopeOf(graph, around);
  for (const name of own(graph)) names.made.add(name);
  const read = [...graph.node.flatMap(({ input }) => input), ...graph.output.map(({ name }) => name)];
  for (const name of read) if (name !== "" && !scope.has(name)) names.read.add(name);
  for (const inner of graph.node.flatMap(({ attribute }) => attribute.flatMap(graphsOf)))
    collect(inner, scope, names);
}

/** @param around The scope of the graph; without one, its own names are replaced too. */
function replace(graph: GraphProto, rename: (name: string) => string, around?: Scope): void {
  const scope = around && scopeOf(graph, around);
  const renamed = (name: string) => (name === "" || scope?.has(name) ? name : rename(name));
  for (const node of graph.node) {
    node.input = node.input.map(renamed);
    if (!scope) node.output = node.output.map(renamed);
    for (const inner of node.attribute.flatMap(graphsOf)) replace(inner, rename, scope);
  }
  // A result can be a value of the outer graph.
  for (const output of graph.output) output.name = renamed(output.name);
  const { input, valueInfo, initializer, sparseInitializer } = graph;
  const constants = [...initializer, ...sparseInitializer.flatMap(({ values }) => values ?? [])];
  if (!scope) for (const value of [...input, ...valueInfo, ...constants]) value.name = renamed(value.name);
}

/** Reads the data of all constants in an attribute's subgraphs from other files. */
export function inlineExternal(proto: AttributeProto, files: ExternalFiles | undefined): void {
  for (const graph of graphsOf(proto)) {
    graph.initializer = graph.initializer.map((tensor) => inlined(tensor, files));
    for (const attribute of graph.node.flatMap(({ attribute }) => attribute)) {
      if (attribute.t) attribute.t = inlined(attribute.t, files);
      inlineExternal(attribute, files);
    }
  }
}
