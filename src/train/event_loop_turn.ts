/** Waiting for the GPU blocks the thread: a signal such as Ctrl-C is heard in a turn between. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
