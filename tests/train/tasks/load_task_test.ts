import { assertEquals, assertRejects } from "@std/assert";
import { SettingError } from "../../../src/train/setting_error.ts";
import { loadTask, TASK_NAMES } from "../../../src/train/tasks/load_task.ts";

Deno.test("loadTask() knows its tasks by name", async () => {
  await assertRejects(
    () => loadTask("cifar"),
    RangeError,
    `Cannot load the task "cifar": the known ones are ${TASK_NAMES.join(", ")}`,
  );
  // An unknown preset is refused by the task itself, before any data is read or downloaded.
  for (const name of TASK_NAMES) {
    await assertRejects(
      () => loadTask(name, { preset: "none such" }),
      RangeError,
      `Cannot load the task "${name}": it has no preset "none such"`,
    );
  }
  assertEquals(TASK_NAMES.length, 8);
});

Deno.test("loadTask() refuses wrong settings before it reads any data", async () => {
  for (const name of ["mnist", "mnist-pixels", "cifar10"]) {
    await assertRejects(
      () => loadTask(name, { data: "/nowhere", hyperparameters: { batchSize: 0 } }),
      RangeError,
      "batchSize is 0",
    );
  }
  for (const name of ["mnist", "mnist-pixels", "cifar10"]) {
    await assertRejects(
      () => loadTask(name, { data: "/nowhere", hyperparameters: { carryState: true } }),
      RangeError,
      "its sequences do not follow one another",
    );
  }
  await assertRejects(() => loadTask("cifar10", { data: "/nowhere" }), Deno.errors.NotFound);
});

Deno.test("loadTask() refuses options that mean nothing to the task", async () => {
  await assertRejects(
    () => loadTask("mnist", { tokenizer: "tokenizer.json" }),
    SettingError,
    'Cannot load the task "mnist": it does not take tokenizer, which is for text, shakespeare',
  );
  await assertRejects(
    () => loadTask("text", { data: "README.md", heldOut: 10 }),
    SettingError,
    "it does not take heldOut, which is for mnist, mnist-pixels, cifar10",
  );
});
