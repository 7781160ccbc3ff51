// deno-lint-ignore-file no-console -- a program: what it says is its result.
// Runs the training program, and prints the largest resident memory of this process, in MiB.
import { trainCommand } from "../../src/cli/train/train.ts";

const code = await trainCommand(Deno.args);
const status = await Deno.readTextFile("/proc/self/status");
console.log(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024);
Deno.exit(code);
