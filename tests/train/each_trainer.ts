import { assertEquals } from "@std/assert";
import { type Cpu, openCpu } from "../../src/cpu/machine/module.ts";
import { CpuTrainingExecutor } from "../../src/cpu/training_executor.ts";
import type { ModelConfig } from "../../src/model/config/config.ts";
import type {
  NamedValues,
  TrainingExecutor,
  TrainingSettings,
} from "../../src/model/training_executor.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { WebGpuTrainingExecutor } from "../../src/webgpu/training_executor.ts";
import { withGpu } from "../with_gpu.ts";

/** Makes a trainer that starts from given values, with moments of zero. */
export type MakeTrainer = (
  config: ModelConfig,
  values: NamedValues,
  settings: TrainingSettings,
) => Trainer;

/**
 * Registers a test for each executor: what holds for one holds for all. What trainers allocate must be freed.
 *
 * @param test Takes what makes a trainer on the executor.
 */
export function eachTrainer(name: string, test: (make: MakeTrainer) => Promise<void>): void {
  Deno.test(
    `${name}, on webgpu`,
    withGpu((gpu) => test(maker((...given) => new WebGpuTrainingExecutor(gpu, ...given)))),
  );
  Deno.test(
    `${name}, on cpu`,
    withCpu((cpu) => test(maker((...given) => new CpuTrainingExecutor(cpu, ...given)))),
  );
}

function maker(
  open: (config: ModelConfig, settings: TrainingSettings) => TrainingExecutor,
): MakeTrainer {
  return (config, values, settings) => {
    const trainer = new Trainer(open(config, settings));
    trainer.load(values);
    return trainer;
  };
}

let shared: Promise<Cpu> | undefined;

/** One CPU serves all tests of a file, as one GPU does: see `withGpu`. */
function withCpu(test: (cpu: Cpu) => Promise<void>): () => Promise<void> {
  return async () => {
    shared ??= openCpu({ threads: 2 });
    const cpu = await shared;
    // What threads work in grows with the largest program, and stays.
    cpu.reserveScratch(SCRATCH_BYTES);
    const before = { ...cpu.memory.live };
    await test(cpu);
    assertEquals({ ...cpu.memory.live }, before, "the test left memory behind");
  };
}

/** More than any program of these tests needs of a thread's scratch memory. */
const SCRATCH_BYTES = 2 ** 22;
