/**
 * Constants whose data is in files beside the model:
 * https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
 */
import type { TensorProto } from "./generated/onnx_pb.js";
import { OnnxError } from "./graph.js";

/** The bytes of the file at `location`, a path relative to the model's folder that does not leave it. */
export type ExternalFiles = (location: string) => Uint8Array;

/**
 * The bytes of a tensor's data in another file.
 * @param length How many bytes the tensor's shape asks for.
 * @throws {OnnxError} where the location leaves the model's folder, or the file is too short.
 */
export function externalBytes(
  { name, externalData }: TensorProto,
  length: number,
  files: ExternalFiles | undefined,
): Uint8Array {
  const fields = new Map(externalData.map(({ key, value }) => [key, value]));
  const location = fields.get("location") ?? "";
  const label = `constant "${name}" lies in the external file "${location}"`;
  if (files === undefined)
    throw new OnnxError(`${label}, which readOnnx needs to be given: pass it the option "external"`);
  if (!isInside(location)) throw new OnnxError(`${label}, expected a path inside the model's folder`);
  const offset = whole(fields.get("offset") ?? "0");
  const given = whole(fields.get("length") ?? String(length));
  if (offset === undefined || given !== length)
    throw new OnnxError(
      `${label} at ${fields.get("offset") ?? 0} with ${fields.get("length")} bytes, expected ${length}`,
    );
  const file = files(location);
  if (offset + length > file.length)
    throw new OnnxError(
      `${label} from byte ${offset} to ${offset + length}, which holds ${file.length} bytes`,
    );
  return file.subarray(offset, offset + length);
}

const whole = (text: string) => (/^\d{1,15}$/.test(text) ? Number(text) : undefined);

/** Whether a path is relative and stays inside its folder, on every system. */
function isInside(location: string): boolean {
  if (location === "" || /^[/\\]|^[a-zA-Z]:|\0/.test(location)) return false;
  return !location.split(/[/\\]/).includes("..");
}
