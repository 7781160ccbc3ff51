import { assertEquals, assertThrows } from "@std/assert";
import { openCpu } from "../../src/cpu/machine/module.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { type CpuTensor, createCpuTensor } from "../../src/cpu/machine/tensor.ts";

/** An op whose tensors have names. */
export interface SizedOp<Name extends string> {
  readonly name: string;
  /** Elements that each tensor needs. */
  readonly sizes: Readonly<Record<Name, number>>;
  readonly record: (program: CpuProgram, tensors: Record<Name, CpuTensor>) => void;
}

/** What the op is to be called. */
export const LABEL = "layers.3.op";

/** Makes a test that the op refuses a tensor that is one element short. */
export function testSizes<Name extends string>({ name, sizes, record }: SizedOp<Name>): void {
  Deno.test(`${name}() refuses tensors that are too small`, async () => {
    using cpu = await openCpu();
    using made = new DisposableStack();
    const names = Object.keys(sizes) as Name[];
    const whole = Object.fromEntries(
      names.map((each) => [each, made.use(createCpuTensor(cpu, each, [sizes[each]]))]),
    ) as Record<Name, CpuTensor>;
    const program = made.use(new CpuProgram(cpu));
    record(program, whole);
    assertEquals(program.labels, [LABEL]);
    for (const each of names) {
      const short = whole[each].view(0, [sizes[each] - 1]);
      assertThrows(
        () => record(program, { ...whole, [each]: short }),
        RangeError,
        `Cannot record ${LABEL}: ${each} has ${sizes[each] - 1} elements, ` +
          `and the sizes given need ${sizes[each]}`,
      );
    }
  });
}
