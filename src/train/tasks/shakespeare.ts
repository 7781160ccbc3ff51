/** `shakespeare`: a character model of the 1.1 MB of Shakespeare that char-rnn and nanoGPT train on. */

import { readDataFile } from "../../io/datasets/data_file.ts";
import { decodeText } from "../../io/datasets/text.ts";
import { createFileHash } from "../../io/file_hash.ts";
import { describeFailure } from "../../io/http/failure.ts";
import type { Task, TaskOptions, TaskPreset } from "../task.ts";
import { choosePreset, COMMON } from "../task.ts";
import { type LanguagePreset, languageTask } from "./text.ts";

const ADDRESS =
  "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt";
const MD5 = "6fb458f1232090904fb40fe944165e91";

const PRESETS = {
  /** 3.1 million parameters. */
  characters: {
    name: "characters",
    size: { d_model: 256, n_layer: 7, d_state: 16, d_conv: 4, expand: 2 },
    // A megabyte is soon learnt by heart: hence the dropout, the decay, and an end after 13 times through the text.
    settings: {
      ...COMMON,
      ...{ steps: 1600, batchSize: 32, seqlen: 256, evaluateEvery: 100 },
      ...{ learningRate: 2e-3, minimumLearningRate: 5e-5, weightDecay: 0.99, dropout: 0.2 },
    },
  },
  small: {
    name: "small",
    isDefaultOnCpu: true,
    note: "8 min of CPU time, and 1.5482 nats a character of the last tenth",
    size: { d_model: 96, n_layer: 3, d_state: 16, d_conv: 4, expand: 2 },
    settings: {
      ...COMMON,
      ...{ steps: 1500, batchSize: 16, seqlen: 128 },
      ...{ learningRate: 4e-3, minimumLearningRate: 1e-4 },
    },
  },
} as const satisfies Readonly<Record<string, LanguagePreset>>;

/** Its presets; the first is the default. */
export const SHAKESPEARE_PRESETS: readonly TaskPreset[] = Object.values(PRESETS);

/**
 * Presets `characters` (the default) and `small`, for a CPU. `data` is the file, which is downloaded otherwise. The first
 * 1,003,854 characters train, the last 111,540 validate.
 *
 * @throws {SyntaxError} If the file is another.
 * @throws {Error} If it cannot be downloaded.
 * @throws {RangeError} If an option is out of range.
 */
export async function shakespeareTask(options: TaskOptions = {}): Promise<Task> {
  const preset = PRESETS[choosePreset("shakespeare", ["characters", "small"], options)];
  const name = options.data ?? ADDRESS;
  const bytes = options.data === undefined
    ? await download(options.fetch ?? fetch)
    : await readDataFile(options.data, "tiny Shakespeare");
  const found = createFileHash("md5").update(bytes).digest("hex");
  if (found !== MD5) {
    throw new SyntaxError(
      `Cannot use "${name}": ${bytes.length} bytes with MD5 ${found}, expected tiny Shakespeare's ` +
        `${MD5}. The task "text" takes any text`,
    );
  }
  const text = decodeText(bytes, name);
  return await languageTask({ name: "shakespeare", text, preset }, options);
}

async function download(fetchFile: typeof fetch): Promise<Uint8Array> {
  try {
    const response = await fetchFile(ADDRESS);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    await response.body?.cancel();
    throw new Error(`the server answered ${response.status}`);
  } catch (cause) {
    throw new Error(
      `Cannot download "${ADDRESS}": ${
        describeFailure(cause)
      }. Check the network, or give the file as data`,
      { cause },
    );
  }
}
