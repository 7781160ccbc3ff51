/** What `bench train` times: the executors, and what each can say of a step beside how long it takes. */

import { CpuTrainingExecutor } from "../../src/cpu/training_executor.ts";
import { defaultThreads } from "../../src/cpu/machine/default_threads.ts";
import { openCpu } from "../../src/cpu/machine/module.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { profile } from "../../src/gpu/program.ts";
import type { ModelConfig } from "../../src/model/config/config.ts";
import type {
  OptimiserSettings,
  TrainingBatch,
  TrainingExecutor,
} from "../../src/model/training_executor.ts";
import { COMMON } from "../../src/train/task.ts";
import { WebGpuTrainingExecutor } from "../../src/webgpu/training_executor.ts";
import { cpuName, processorTime } from "./cpu_time.ts";
import { round } from "./result.ts";
import { warmTime } from "./warm_time.ts";

/** An executor that is timed. */
export interface TimedExecutor extends Disposable {
  readonly executor: TrainingExecutor;
  /** What the device calls itself. */
  readonly device: string;
  /** Steps after the first that say nothing of those to come. */
  readonly warmUpSteps: number;
  /** Processor time that this process has taken, in milliseconds, where it is what does the work. */
  readonly processorTime: (() => number) | undefined;
  /** Figures of a step on this batch. */
  describeStep(batch: TrainingBatch): Promise<Record<string, number>>;
  /** How long each op of a step takes by itself, in order; on the CPU it is processor time, waiting included. */
  profile(
    batch: TrainingBatch,
  ): Promise<readonly { readonly label: string; readonly microseconds: number }[]>;
}

const SETTINGS: OptimiserSettings = {
  beta1: COMMON.beta1,
  beta2: COMMON.beta2,
  eps: COMMON.eps,
  weightDecay: COMMON.weightDecay,
  maxNorm: COMMON.clipNorm,
};

/** Opens WebGPU. */
export async function openOnGpu(config: ModelConfig): Promise<TimedExecutor> {
  using owned = new DisposableStack();
  const gpu = owned.use(await openGpu());
  const executor = owned.use(new WebGpuTrainingExecutor(gpu, config, SETTINGS));
  const opened = owned.move();
  return {
    executor,
    device: gpu.name,
    processorTime: gpu.isSoftware ? processorTime : undefined,
    // A device that was idle runs at a fraction of its clock at first.
    warmUpSteps: gpu.isSoftware ? 0 : executor.maxInFlight,
    async describeStep(batch) {
      const program = executor.stepProgramOf(batch);
      const gpuMilliseconds = gpu.hasTimestamps ? await warmTime(gpu, [program]) / 1000 : NaN;
      return { gpuMillisecondsPerStep: round(gpuMilliseconds, 2), dispatches: program.length };
    },
    profile: (batch) => profile(gpu, executor.stepProgramOf(batch)),
    [Symbol.dispose]: () => opened[Symbol.dispose](),
  };
}

/** Steps until the engine has compiled the module for the second time, and workers are there. */
const CPU_WARM_UP_STEPS = 5;

/** Steps that a profile is the mean of. */
const CPU_PROFILE_RUNS = 10;

/** Opens the CPU. */
export async function openOnCpu(
  config: ModelConfig,
  threads: number = defaultThreads(),
): Promise<TimedExecutor> {
  using owned = new DisposableStack();
  const cpu = owned.use(await openCpu({ threads }));
  const executor = owned.use(new CpuTrainingExecutor(cpu, config, SETTINGS));
  const opened = owned.move();
  return {
    executor,
    device: cpuName(cpu),
    processorTime,
    warmUpSteps: CPU_WARM_UP_STEPS,
    // deno-lint-ignore require-await -- others have to wait here.
    async describeStep(batch) {
      return { threads: cpu.threads, ops: executor.stepProgramOf(batch).length };
    },
    // deno-lint-ignore require-await -- others have to wait here.
    async profile(batch) {
      const program = executor.stepProgramOf(batch);
      const times = program.labels.map((label) => ({ label, microseconds: 0 }));
      for (let run = 0; run < CPU_PROFILE_RUNS; run++) {
        for (const [index, time] of times.entries()) {
          const before = processorTime();
          program.runPart(index, 1);
          time.microseconds += (processorTime() - before) * 1000 / CPU_PROFILE_RUNS;
        }
      }
      return times;
    },
    [Symbol.dispose]: () => opened[Symbol.dispose](),
  };
}
