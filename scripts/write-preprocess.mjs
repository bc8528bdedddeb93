/**
 * Writes the preprocessing into a model that was trained on MNIST, or on images of another size, as `train` does for its
 * own models. Nothing else in the file changes.
 *
 *   npm run build && node scripts/write-preprocess.mjs packages/experiments/models/mnist-resnet.onnx [ROWS COLUMNS]
 */
import { readFile, writeFile } from "node:fs/promises";
import { readOnnx, writeOnnx, writePreprocess } from "../packages/cli/dist/index.js";
import { preprocessOf } from "../packages/experiments/dist/data/mnist.js";

const [path, rows = 28, columns = 28] = process.argv.slice(2);
const bytes = await readFile(path);
const graph = readOnnx(bytes);
if (!bytes.equals(writeOnnx(graph))) throw new Error(`${path}: more than its metadata would change`);
writePreprocess(graph, preprocessOf({ rows: Number(rows), columns: Number(columns) }));
await writeFile(path, writeOnnx(graph));
