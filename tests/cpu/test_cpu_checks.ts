import { assert } from "@std/assert";
import { type CpuBuild, openCpu } from "../../src/cpu/module.ts";
import type { CpuCheck } from "./cpu_check.ts";

/** "relaxed" is the same source as "relaxed_threads" but for the threads: threads_test.ts compares them. */
const BUILDS: readonly CpuBuild[] = ["relaxed_threads", "plain"];

/** Makes a test of each check, on every build. */
export function testCpuChecks(checks: readonly CpuCheck[]): void {
  for (const check of checks) {
    Deno.test(`${check.op}() agrees with its oracle: ${check.name}`, async () => {
      for (const build of BUILDS) {
        using cpu = await openCpu({ build });
        const { worst, detail } = check.run(cpu);
        assert(worst <= 1, `${build}: the error is ${worst.toPrecision(4)} x its limit: ${detail}`);
        assert(cpu.memory.live.count <= 1, `${build}: tensors outlive the check`);
      }
    });
  }
}
