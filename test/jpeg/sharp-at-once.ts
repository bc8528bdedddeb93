/** sharp's pixels, if djpeg is missing. sharp is asynchronous and djpeg is not, so a thread calls it and this one waits. */
import { createRequire } from "node:module";
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";

const DECODER = `
  const { parentPort, workerData } = require("node:worker_threads");
  const sharp = require(workerData.sharp);
  parentPort.on("message", async ({ jpeg, signal, port }) => {
    try {
      const image = sharp(jpeg, { failOn: "none", limitInputPixels: false });
      const { channels } = await image.metadata();
      const { data, info } = await image
        .toColourspace(channels === 1 ? "b-w" : "srgb")
        .raw()
        .toBuffer({ resolveWithObject: true });
      port.postMessage({ data, width: info.width, height: info.height, channels: info.channels });
    } catch {
      port.postMessage(undefined);
    }
    Atomics.store(signal, 0, 1);
    Atomics.notify(signal, 0);
  });`;

interface Decoded {
  data: Uint8Array;
  width: number;
  height: number;
  channels: number;
}

let decoder: Worker | undefined;

/** A PNM file, as from djpeg; undefined if there is no picture. */
export function pnmBySharp(jpeg: Uint8Array): Buffer | undefined {
  if (decoder === undefined) {
    const sharp = createRequire(import.meta.url).resolve("sharp");
    decoder = new Worker(DECODER, { eval: true, workerData: { sharp } });
    decoder.unref();
  }
  const signal = new Int32Array(new SharedArrayBuffer(4));
  const { port1, port2 } = new MessageChannel();
  decoder.postMessage({ jpeg: new Uint8Array(jpeg), signal, port: port2 }, [port2]);
  Atomics.wait(signal, 0, 0);
  const answer = receiveMessageOnPort(port1)?.message as Decoded | undefined;
  port1.close();
  if (answer === undefined) return undefined;
  const header = `P${answer.channels === 1 ? 5 : 6}\n${answer.width} ${answer.height}\n255\n`;
  return Buffer.concat([Buffer.from(header), answer.data]);
}
