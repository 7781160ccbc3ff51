/** Writes recordings of high and low tones into FOLDER/recordings: what docs/audio.md is tried with. */

import { s16, tone, wavFile } from "../io/audio/wav_file.ts";

const [folder = "."] = Deno.args;
await Deno.mkdir(`${folder}/recordings`, { recursive: true });
for (let i = 0; i < 40; i++) {
  const [name, hertz] = i % 2 === 0 ? ["low", 300 + i] as const : ["high", 2000 + 9 * i] as const;
  const speaker = i % 4 < 2 ? "lucas" : "theo";
  const bytes = wavFile(s16(tone({ silence: 0, length: 4000, hertz })));
  await Deno.writeFile(`${folder}/recordings/${name}_${speaker}_${i % 10}.wav`, bytes);
}
