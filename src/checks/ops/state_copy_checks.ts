import { Random } from "../random.ts";
import { checkKernel, EXACT, type KernelCheck } from "../kernel_check.ts";

/** Slot and number of slots. */
type Place = readonly [slot: number, slots: number];

const CASES: readonly {
  readonly batch: number;
  readonly size: number;
  readonly from: Place;
  readonly to: Place;
}[] = [
  { batch: 1, size: 1, from: [0, 1], to: [0, 1] },
  { batch: 2, size: 256, from: [0, 1], to: [0, 1] },
  { batch: 3, size: 52 * 4, from: [5, 6], to: [0, 1] },
  { batch: 3, size: 52 * 4, from: [0, 1], to: [0, 6] },
  { batch: 2, size: 513, from: [1, 3], to: [2, 4] },
  { batch: 64, size: 1536 * 16, from: [0, 1], to: [0, 2] },
];

/** Checks of state_copy. */
export const STATE_COPY_CHECKS: readonly KernelCheck[] = CASES.map(
  ({ batch, size, from, to }, seed): KernelCheck => ({
    kernel: "state_copy",
    name: `${batch} x ${size}, slot ${from[0]} of ${from[1]} to ${to[0]} of ${to[1]}`,
    ...checkKernel(["stateCopy"], (run) => {
      const random = new Random(seed);
      const source = random.normal(batch * from[1] * size);
      const target = random.normal(batch * to[1] * size);
      const expected = target.map((before, element) => {
        const sequence = Math.floor(element / (to[1] * size));
        const slot = Math.floor(element / size) % to[1];
        if (slot !== to[0]) return before;
        return source[(sequence * from[1] + from[0]) * size + element % size] ?? NaN;
      });
      const y = run.state(target);
      const place = (tensor: typeof y, [slot, slots]: Place) => ({ tensor, slot, slots });
      run.ops.stateCopy(run.program, { from: place(run.input(source), from), to: place(y, to) }, {
        ...{ batch, size, label: "check" },
      });
      run.expect("y", y, expected, EXACT);
    }),
  }),
);
