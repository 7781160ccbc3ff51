import type { Cpu, CpuBuild } from "./module.ts";

/** What each build of the module has. */
const BUILDS: Readonly<Record<CpuBuild, string>> = {
  relaxed_threads: "SIMD with FMA",
  relaxed: "SIMD with FMA, without shared memory",
  plain: "SIMD without FMA and shared memory",
};

/** The CPU as a device, in words. */
export function describeCpu({ threads, build }: Pick<Cpu, "threads" | "build">): string {
  return `CPU, ${threads} ${threads === 1 ? "thread" : "threads"}, ${BUILDS[build]}`;
}
