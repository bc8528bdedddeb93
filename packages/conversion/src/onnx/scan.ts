/**
 * Counts what a file holds before it is decoded: an empty message is two bytes in the file, and two hundred in memory.
 * https://protobuf.dev/programming-guides/encoding/
 */
import { checkLimit, LIMITS } from "./budget.js";

/** The fields of each kind of message that are messages, by their numbers in onnx.proto, and their kinds. */
const MESSAGES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  model: { 7: "graph", 8: "plain", 14: "plain" },
  graph: { 1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 15: "sparse" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 11: "graph" },
  value: { 2: "type" },
  type: { 1: "type", 2: "shape" },
  shape: { 1: "plain" },
  sparse: { 1: "tensor", 2: "tensor" },
  tensor: { 13: "plain" },
};

/** Wire types. */
const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5];

/**
 * @throws {LimitError} where the file holds more messages than {@link LIMITS} allow. The decoder finds damage.
 */
export function checkMessages(bytes: Uint8Array): void {
  let [messages, nodes] = [0, 0];
  /** Messages to look into. */
  const open = [{ kind: "model", from: 0, to: bytes.length }];
  for (let message = open.pop(); message !== undefined; message = open.pop()) {
    const { kind, to } = message;
    let at = message.from;
    const varint = (): number => {
      let value = 0;
      for (let factor = 1; at < to; factor *= 128) {
        const byte = bytes[at++] as number;
        value += (byte & 127) * factor;
        if (byte < 128) return value;
      }
      return value;
    };
    while (at < to) {
      const tag = varint();
      const wire = tag % 8;
      if (wire === VARINT) varint();
      else if (wire === FIXED64) at += 8;
      else if (wire === FIXED32) at += 4;
      else if (wire === LENGTH) {
        const length = varint();
        const inner = MESSAGES[kind]?.[Math.floor(tag / 8)];
        if (inner !== undefined) {
          checkLimit(
            ++messages,
            LIMITS.messages,
            "the model has too many nodes, attributes, values and constants",
          );
          if (inner === "node") checkLimit(++nodes, LIMITS.nodes, "the model has too many nodes");
          if (length > 0) open.push({ kind: inner, from: at, to: Math.min(at + length, to) });
        }
        at += length;
      } else break;
    }
  }
}
