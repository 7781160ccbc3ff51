/** Writes how many busy turns of eventLoopTurn() pass until signals are heard; alone in its process, as commands are. */

import { eventLoopTurn } from "../../src/io/event_loop_turn.ts";

/** As long as a burst of tokens takes. */
const TURN_MS = 25;

const KILL = new Deno.Command("kill", { args: ["-INT", String(Deno.pid)] });

let heard = 0;
Deno.addSignalListener("SIGINT", () => heard++);
const turns: number[] = [];
for (let round = 1; round <= 5; round++) {
  // Hearing one was a look at the system: a few turns later the next look may be far.
  for (let turn = 0; turn < 3; turn++) await eventLoopTurn();
  KILL.outputSync();
  let count = 0;
  while (heard < round) {
    const start = performance.now();
    while (performance.now() - start < TURN_MS) { /* the GPU is waited for */ }
    await eventLoopTurn();
    count++;
  }
  turns.push(count);
}
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(turns)));
Deno.exit();
