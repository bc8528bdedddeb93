/** The graphs inside `If`, `Loop` and `Scan`, of which only the names that they share with the graph around matter. */
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
  /** Names of the graph around that a graph reads. */
  read: Set<string>;
  /** Names that it makes itself. */
  made: Set<string>;
}

/** The names that a node's subgraphs read from around it, and those that they make. */
export function subgraphNames(node: Node): Shared {
  const names: Shared = { read: new Set(), made: new Set() };
  for (const graph of subgraphs(node)) collect(graph, undefined, names);
  return names;
}

/** Every name that is taken in a graph: of its values, those of its nodes' subgraphs, and its nodes. */
export const namesOf = ({ inputs, outputs, initializers, nodes }: Graph): Set<string> =>
  new Set([
    ...[...inputs, ...outputs].map(({ name }) => name),
    ...initializers.keys(),
    ...nodes.flatMap((node) => [node.name, ...node.outputs, ...subgraphNames(node).made]),
  ]);

/** Gives names that nothing in a graph has yet. */
export const freshNames = (graph: Graph): Names => new Names(namesOf(graph));

/** All that a node reads: its inputs, and what its subgraphs read from around it. */
export const reads = (node: Node): string[] =>
  hasSubgraph(node) ? [...node.inputs, ...subgraphNames(node).read] : node.inputs;

export const hasSubgraph = ({ attributes }: Node): boolean =>
  [...attributes.values()].some(({ kind }) => kind === "opaque");

/** The node with names of the graph around replaced in its subgraphs. */
export const renameInSubgraphs = (node: Node, rename: (name: string) => string): Node =>
  changed(node, (graph) => replace(graph, undefined, rename));

/** The node with every name in its subgraphs replaced, their own too. */
export const renameWithinSubgraphs = (node: Node, rename: (name: string) => string): Node =>
  changed(node, (graph) => replaceAll(graph, rename));

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

/** The graphs that an attribute holds. */
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

/** The values that nodes of a graph can read: its own, and those of the graphs around. */
class Scope {
  private readonly own: Set<string>;

  constructor(
    graph: GraphProto,
    private readonly around: Scope | undefined,
  ) {
    this.own = new Set(own(graph));
  }

  has(name: string): boolean {
    return this.own.has(name) || (this.around?.has(name) ?? false);
  }
}

function collect(graph: GraphProto, around: Scope | undefined, names: Shared): void {
  const scope = new Scope(graph, around);
  for (const name of own(graph)) names.made.add(name);
  const read = [...graph.node.flatMap(({ input }) => input), ...graph.output.map(({ name }) => name)];
  for (const name of read) if (name !== "" && !scope.has(name)) names.read.add(name);
  for (const inner of graph.node.flatMap(({ attribute }) => attribute.flatMap(graphsOf)))
    collect(inner, scope, names);
}

function replace(graph: GraphProto, around: Scope | undefined, rename: (name: string) => string): void {
  const scope = new Scope(graph, around);
  const renamed = (name: string) => (name === "" || scope.has(name) ? name : rename(name));
  for (const node of graph.node) {
    node.input = node.input.map(renamed);
    for (const inner of node.attribute.flatMap(graphsOf)) replace(inner, scope, rename);
  }
  // A result that is a value of the graph around is named after it.
  for (const output of graph.output) output.name = renamed(output.name);
}

function replaceAll(graph: GraphProto, rename: (name: string) => string): void {
  const { input, output, valueInfo, initializer, sparseInitializer, node } = graph;
  const constants = sparseInitializer.flatMap(({ values }) => values ?? []);
  for (const value of [...input, ...output, ...valueInfo, ...initializer, ...constants])
    value.name = rename(value.name);
  for (const one of node) {
    one.input = one.input.map(rename);
    one.output = one.output.map(rename);
    for (const inner of one.attribute.flatMap(graphsOf)) replaceAll(inner, rename);
  }
}

/** Takes the data of all constants in an attribute's subgraphs into them. */
export function inlineExternal(proto: AttributeProto, files: ExternalFiles | undefined): void {
  for (const graph of graphsOf(proto)) {
    graph.initializer = graph.initializer.map((tensor) => inlined(tensor, files));
    for (const attribute of graph.node.flatMap(({ attribute }) => attribute)) {
      if (attribute.t) attribute.t = inlined(attribute.t, files);
      inlineExternal(attribute, files);
    }
  }
}
