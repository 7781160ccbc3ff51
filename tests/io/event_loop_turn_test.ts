import { assert, assertEquals } from "@std/assert";

const FIXTURE = new URL("fixture_event_loop_turn.ts", import.meta.url).pathname;

Deno.test("eventLoopTurn() lets a signal be heard within a few turns, however long they are", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", FIXTURE],
    stdin: "null",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const turns: number[] = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(turns.length, 5);
  // Turns without a look at the system: 31, in which a signal comes anywhere.
  assert(turns.every((count) => count <= 12), turns.join());
});
