import { assert } from "@std/assert";
import { cpuBench } from "../../src/checks/cpu_bench.ts";
import { CHECKED_CPU_OPS } from "../../src/checks/cpu_ops.ts";
import { checksWith, type KernelCheck } from "../../src/checks/kernel_check.ts";
import { type Cpu, type CpuBuild, openCpu } from "../../src/cpu/machine/module.ts";

/** "relaxed" is the same source as "relaxed_threads" but for the threads: threads_test.ts compares them. */
const BUILDS: readonly CpuBuild[] = ["relaxed_threads", "plain"];

/** Compiled once for all checks of a file. */
const opened = new Map<CpuBuild, Promise<Cpu>>();

async function cpuOf(build: CpuBuild): Promise<Cpu> {
  const cpu = opened.get(build) ?? openCpu({ build });
  opened.set(build, cpu);
  return await cpu;
}

/** Makes a test of each check whose ops the CPU has, on every build, named after the op's function. */
export function testCpuChecks(checks: readonly KernelCheck[]): void {
  for (const check of checksWith(CHECKED_CPU_OPS, checks)) {
    const op = check.kernel.replace(/(?<=[a-z0-9])_([a-z])/g, (_, letter) => letter.toUpperCase());
    Deno.test(`${op}() agrees with its oracle on the CPU: ${check.name}`, async () => {
      for (const build of BUILDS) {
        const cpu = await cpuOf(build);
        const { worst, detail } = await check.run(cpuBench(cpu));
        assert(worst <= 1, `${build}: the error is ${worst.toPrecision(4)} x its limit: ${detail}`);
        // Scratch memory stays.
        assert(cpu.memory.live.count <= 1, `${build}: tensors outlive the check`);
      }
    });
  }
}
