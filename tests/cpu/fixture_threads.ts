// deno-lint-ignore-file no-console -- a program, whose output the test reads
/** Runs ops on two threads without a permission, and ends by itself though it disposes of nothing: see threads_test.ts. */

import { openCpu } from "../../src/cpu/machine/module.ts";
import { threadedProduct } from "./threaded_product.ts";

const cpu = await openCpu({ threads: 2 });
const product = threadedProduct(cpu);
for (let n = 0; n < 50; n++) {
  product.run();
  // Workers start between turns of the event loop.
  await new Promise((resolve) => setTimeout(resolve, 1));
}
console.log(cpu.build, cpu.threads);
