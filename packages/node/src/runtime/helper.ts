/** A thread that helps with large files: see helpers.ts. It never opens a network, so it may be stopped anywhere. */
import { parentPort, workerData } from "node:worker_threads";
import { type PlaneSize, type Preprocess, Preprocessor } from "@jpeg-domain/conversion";
import { type Job, takeParts } from "./parts.js";

export interface HelperSettings {
  preprocess: Preprocess;
  planes: PlaneSize;
}

/** A job, and which of its parts a helper may take. */
export interface HelpRequest {
  job: Job;
  numbers: number[];
}

const { preprocess, planes } = workerData as HelperSettings;
const preprocessor = new Preprocessor(preprocess, planes);
parentPort?.on("message", ({ job, numbers }: HelpRequest) => takeParts(job, numbers, preprocessor));
