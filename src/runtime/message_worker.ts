/** Workers that answer messages, in whatever runtime there are some. */

import { nodeThreads, nodeWorkerUrl, webWorkerUrl } from "./worker_source.ts";

/** What a worker's source defines as `answer`: its reply to a message, and what of it is handed over, not copied. */
export type Answer<Message, Reply> = (
  message: Message,
) => [reply: Reply, handedOver: ArrayBuffer[]];

/** A worker that runs. Nothing of it is heard after it is terminated. */
export interface MessageWorker<Message> {
  /** Sends it a message, with what is handed over to it. */
  post(message: Message, handedOver: ArrayBuffer[]): void;
  /** Ends it, whatever it does. */
  terminate(): void;
}

/** What is told of a worker. */
export interface MessageEars<Reply> {
  /** Its replies, in the order of the messages. */
  readonly onReply: (reply: Reply) => void;
  /** That it failed, or never began. */
  readonly onFailure: () => void;
}

/**
 * Starts a worker.
 *
 * @param source JavaScript that defines `answer`: see {@linkcode Answer}.
 * @returns Undefined where there are no workers.
 */
export function startMessageWorker<Message, Reply>(
  source: string,
  { onReply, onFailure }: MessageEars<Reply>,
): MessageWorker<Message> | undefined {
  if (typeof Worker === "function") {
    const text = `${source}\nonmessage = ({ data }) => postMessage(...answer(data));`;
    const url = webWorkerUrl(text);
    const worker = newWorker(url);
    if (worker === undefined) return undefined;
    worker.onmessage = ({ data }: MessageEvent<Reply>) => onReply(data);
    worker.onerror = (event) => {
      event.preventDefault();
      onFailure();
    };
    return {
      post: (message, handedOver) => worker.postMessage(message, handedOver),
      terminate() {
        worker.terminate();
        URL.revokeObjectURL(url);
      },
    };
  }
  const threads = nodeThreads();
  if (threads === undefined) return undefined;
  const text = `${source}
const { parentPort } = process.getBuiltinModule("worker_threads");
parentPort.on("message", (data) => parentPort.postMessage(...answer(data)));`;
  const worker = new threads.Worker(nodeWorkerUrl(text));
  worker.on("message", (reply) => onReply(reply as Reply));
  worker.on("error", onFailure);
  return {
    post: (message, handedOver) => worker.postMessage(message, handedOver),
    terminate: () => worker.terminate(),
  };
}

/** Undefined where a page's policy forbids it. */
function newWorker(url: string): Worker | undefined {
  try {
    return new Worker(url, { type: "module" });
  } catch {
    return undefined;
  }
}
