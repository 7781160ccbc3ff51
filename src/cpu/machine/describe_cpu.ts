import type { Cpu, CpuBuild } from "./module.ts";

/** What each build of the module has. */
const BUILDS: Readonly<Record<CpuBuild, string>> = {
  relaxed_threads: "SIMD with FMA",
  relaxed: "SIMD with FMA",
  plain: "SIMD without FMA",
};

/** The CPU as a device, in words; `isTuned` says whether it is the executor that chooses the threads. */
export function describeCpu(
  { maxThreads, build }: Pick<Cpu, "maxThreads" | "build">,
  isTuned: boolean,
): string {
  const threads = maxThreads === 1 ? "1 thread" : `${isTuned ? "up to " : ""}${maxThreads} threads`;
  return `CPU, ${threads}, ${BUILDS[build]}`;
}
