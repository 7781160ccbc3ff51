/** Training's ops share out rows, columns, channels and sequences: who computes them must not show. */

import { assertEquals } from "@std/assert";
import { rowMatrix } from "../../src/cpu/machine/matrix.ts";
import { type Cpu, openCpu } from "../../src/cpu/machine/module.ts";
import { conv1dBwd, conv1dBwdScratch } from "../../src/cpu/ops/training/conv1d_bwd.ts";
import { matmulFwd } from "../../src/cpu/ops/linear.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "../../src/cpu/ops/training/linear_bwd.ts";
import { rmsNormBwd, rmsNormBwdParts } from "../../src/cpu/ops/training/rms_norm_bwd.ts";
import { keptStates, selectiveScanFwd } from "../../src/cpu/ops/selective_scan.ts";
import { scanBwdScratch, selectiveScanBwd } from "../../src/cpu/ops/training/selective_scan_bwd.ts";
import { SSD_CHUNK, ssdFwd, ssdSlots } from "../../src/cpu/ops/ssd.ts";
import { ssdWidths } from "../../src/model/ssd_sizes.ts";
import { ssdBwd, ssdBwdScratch } from "../../src/cpu/ops/training/ssd_bwd.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { type CpuTensor, createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { Random } from "../../src/checks/random.ts";

const BATCH = { batch: 3, seqlen: 37 };
const ROWS = 111;
const [D_IN, D_OUT] = [101, 70];

type Make = (size: number) => CpuTensor;

const OPS: Readonly<Record<string, (program: CpuProgram, make: Make) => void>> = {
  products(program, make) {
    const matrix = () => rowMatrix(program.cpu, make(D_OUT * D_IN), [D_OUT, D_IN]);
    const [x, y, weight] = [make(ROWS * D_IN), make(ROWS * D_OUT), matrix()];
    const shape = { rows: ROWS, label: "product" };
    matmulFwd(program, { x, weight, y }, shape);
    matmulBwdW(program, { grad_y: y, x, grad_weight: matrix() }, shape);
    matmulBwdX(program, { grad_y: y, weight, grad_x: make(ROWS * D_IN) }, shape);
    columnSum(program, { x: y, y: make(D_OUT) }, { ...shape, columns: D_OUT });
  },
  norm(program, make) {
    const [x, grad_y, grad_x] = [make(ROWS * D_IN), make(ROWS * D_IN), make(ROWS * D_IN)];
    const [weight, grad_weight] = [make(D_IN), make(D_IN)];
    const partials = make(rmsNormBwdParts(ROWS) * D_IN);
    rmsNormBwd(program, { x, weight, grad_y, grad_x, partials, grad_weight }, {
      ...{ rows: ROWS, d_model: D_IN, eps: 1e-5, label: "norm" },
    });
  },
  conv1d(program, make) {
    const [d_inner, d_conv] = [70, 4];
    const line = () => make(ROWS * d_inner);
    const state = () => make(BATCH.batch * d_inner * d_conv);
    conv1dBwd(program, {
      ...{ x: line(), weight: make(d_inner * d_conv), bias: make(d_inner), conv_state: state() },
      ...{ grad_y: line(), grad_x: line(), grad_conv_state: state(), grad_bias: make(d_inner) },
      grad_weight: make(d_inner * d_conv),
      partials: make(conv1dBwdScratch({ ...BATCH, d_inner, d_conv })),
    }, { ...BATCH, d_inner, d_conv, label: "conv1d" });
  },
  scan(program, make) {
    const sizes = { ...BATCH, d_inner: 70, d_state: 5, dt_rank: 3 };
    const [line, x_dbl] = [() => make(ROWS * 70), () => make(ROWS * 13)];
    const tensors = {
      ...{ u: line(), dt: line(), x_dbl: x_dbl(), xz: make(ROWS * 140), A_log: make(350) },
      ...{ D: make(70), ssm_state: make(3 * keptStates(BATCH.seqlen) * 350) },
    };
    const scratch = scanBwdScratch(sizes);
    selectiveScanFwd(program, { ...tensors, y: line() }, { ...sizes, keep: true, label: "scan" });
    selectiveScanBwd(program, {
      ...tensors,
      ...{ grad_y: line(), grad_xz: make(ROWS * 140), grad_x_dbl: x_dbl(), grad_A_log: make(350) },
      ...{ grad_D: make(70), grad_state: make(3 * 350) },
      partials_BC: make(scratch.partials_BC),
      partials_params: make(scratch.partials_params),
    }, { ...sizes, label: "scan" });
  },
  ssd(program, make) {
    const sizes = { ...BATCH, nheads: 6, headdim: 5, d_state: 19, ngroups: 3, chunk: SSD_CHUNK };
    const { d_inner, conv_dim, d_in_proj } = ssdWidths(sizes);
    const tensors = {
      ...{ xBC: make(ROWS * conv_dim), zxbcdt: make(ROWS * d_in_proj), A_log: make(6) },
      ...{ D: make(6), dt_bias: make(6) },
      ssm_state: make(3 * ssdSlots(BATCH.seqlen, SSD_CHUNK) * d_inner * 19),
    };
    const scratch = ssdBwdScratch(sizes);
    const shape = { ...sizes, label: "ssd" };
    ssdFwd(program, { ...tensors, y: make(ROWS * d_inner) }, shape);
    ssdBwd(program, {
      ...tensors,
      ...{ grad_y: make(ROWS * d_inner), grad_xBC: make(ROWS * conv_dim), grad_A_log: make(6) },
      ...{ grad_zxbcdt: make(ROWS * d_in_proj), grad_D: make(6), grad_dt_bias: make(6) },
      ...{ grad_state: make(3 * d_inner * 19), sums: make(scratch.sums) },
      partials: make(scratch.partials),
    }, shape);
  },
};

/** What all tensors of an op hold after it. */
function resultsOf(cpu: Cpu, record: (program: CpuProgram, make: Make) => void): Uint32Array[] {
  using made = new DisposableStack();
  const tensors: CpuTensor[] = [];
  const make: Make = (size) => {
    const tensor = made.use(createCpuTensor(cpu, "tensor", [size]));
    tensor.write(new Random(tensors.length).normal(size, 0.5));
    tensors.push(tensor);
    return tensor;
  };
  const program = made.use(new CpuProgram(cpu));
  record(program, make);
  program.run();
  return tensors.map((tensor) => tensor.readWords());
}

for (const [name, record] of Object.entries(OPS)) {
  Deno.test(`training's ${name} give the same bits on any number of threads`, async () => {
    using one = await openCpu({ threads: 1, build: "relaxed_threads" });
    using three = await openCpu({ threads: 3 });
    const expected = resultsOf(one, record);
    for (let run = 0; run < 5; run++) {
      // Workers start when the event loop turns.
      await new Promise((resolve) => setTimeout(resolve, 20));
      assertEquals(resultsOf(three, record), expected);
    }
  });
}
