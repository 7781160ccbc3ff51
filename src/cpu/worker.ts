/** Workers: threads that spend their lives inside the module, see kernels/cpu/assembly/threads.ts. */

/** All that a worker is. As a `data:` URL it needs no permission and no file, from wherever this module comes. */
const SOURCE = `onmessage = ({ data: { module, memory, index } }) => {
  const env = { memory, now: () => performance.now() };
  new WebAssembly.Instance(module, { env }).exports.work(index);
  close();
};`;

/** Starts a worker as thread `index`. It helps as soon as it is there: nobody waits for it. */
export function startWorker(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  index: number,
): Worker {
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(SOURCE)}`, {
    type: "module",
    name: `cpu thread ${index}`,
  });
  worker.postMessage({ module, memory, index });
  return worker;
}

/** Whether this thread may sleep until another wakes it: a page's main thread may not. */
export function mayBlock(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return true;
  } catch {
    return false;
  }
}
