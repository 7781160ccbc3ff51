/**
 * Sounds in a stream: what is louder than the background, from a little before it to the silence after it.
 *
 * The background is the lowest level of late: it falls with the level at once, and rises by 3 dB a second. A sound begins
 * with frames that are `margin_db` above it, and ends with `end_frames` that are not half as far above.
 */

import { MelFrames } from "./mel_frames.ts";
import { powersToInput, type SoundLayout } from "./sound_input.ts";

/** How sounds are told from silence, as a checkpoint's `preprocessing` says it. */
export interface StreamLayout extends SoundLayout {
  /** How far above the background a sound is, in dB. */
  readonly margin_db: number;
  /** Frames before a sound's first loud ones that belong to it. */
  readonly lead_frames: number;
  /** Frames of silence that end a sound. */
  readonly end_frames: number;
}

/** A sound that is over, or as long as the classifier listens. */
export interface Sound {
  /** Input of the classifier, (layout.frames, n_mels): silence follows a short sound. */
  readonly input: Float32Array<ArrayBuffer>;
  /** Its first sample, counted from the stream's. */
  readonly start: number;
  /** The sample after its last loud frame. */
  readonly end: number;
  /** How many samples of the stream were needed to tell that it is over. */
  readonly heard: number;
}

/** A sound that is going on. */
interface Ongoing {
  /** Its first frame. */
  readonly first: number;
  /** Its last loud one, so far. */
  lastLoud: number;
  /** Powers of each. */
  readonly frames: Float32Array[];
}

/** Loud frames in a row that begin a sound: fewer are a click. */
const FEWEST_LOUD = 3;
const RISE_DB_A_SECOND = 3;

/** The samples of a stream to the sounds in it, as they come, in constant memory. */
export class Sounds {
  readonly #layout: StreamLayout;
  readonly #mel: MelFrames;
  /** Frames so far. */
  #frame = 0;
  #background = Infinity;
  /** The latest frames: what a sound that begins now has had already. */
  #recent: Float32Array[] = [];
  /** Loud frames in a row, up to now. */
  #loud = 0;
  #sound: Ongoing | undefined;
  /** Whether a sound was cut at its longest, and is not over. */
  #isCut = false;

  /** Starts at the first sample of a stream. */
  constructor(layout: StreamLayout) {
    this.#layout = layout;
    this.#mel = new MelFrames(layout);
  }

  /**
   * Takes the next samples.
   *
   * @returns The sounds that end with them, in their order; none in silence.
   */
  push(samples: Float32Array): Sound[] {
    const { n_mels } = this.#layout;
    const powers = this.#mel.push(samples);
    const sounds: Sound[] = [];
    for (let at = 0; at < powers.length; at += n_mels, this.#frame++) {
      const ended = this.#take(powers.slice(at, at + n_mels));
      if (ended !== undefined) sounds.push(this.#end(ended, this.#frame));
    }
    return sounds;
  }

  /** Ends the stream, and with it the sound that is going on. */
  finish(): Sound[] {
    const sound = this.#sound;
    return sound === undefined ? [] : [this.#end(sound, this.#frame - 1)];
  }

  /** The next frame; the sound that it ends. */
  #take(powers: Float32Array): Ongoing | undefined {
    const { margin_db, end_frames, frames } = this.#layout;
    const above = this.#levelAbove(powers);
    if (this.#sound === undefined) this.#listen(powers, above);
    else {
      this.#sound.frames.push(powers);
      if (above > margin_db / 2) this.#sound.lastLoud = this.#frame;
    }
    const sound = this.#sound;
    if (sound === undefined) return undefined;
    const isOver = this.#frame - sound.lastLoud >= end_frames;
    this.#isCut = !isOver && sound.frames.length >= frames;
    return isOver || this.#isCut ? sound : undefined;
  }

  /** How far above the background a frame is, in dB; the background follows. */
  #levelAbove(powers: Float32Array): number {
    const { floor, hop, sample_rate } = this.#layout;
    const mean = powers.reduce((sum, power) => sum + power, 0) / powers.length;
    const level = 10 * Math.log10(floor + mean);
    this.#background = Math.min(level, this.#background + RISE_DB_A_SECOND * hop / sample_rate);
    return level - this.#background;
  }

  /** A frame outside of sounds: one may begin. */
  #listen(powers: Float32Array, above: number): void {
    const { margin_db, lead_frames, frames } = this.#layout;
    this.#recent.push(powers);
    if (this.#recent.length > lead_frames + FEWEST_LOUD) this.#recent.shift();
    // After a cut there is silence first.
    if (this.#isCut) this.#isCut = above > margin_db / 2;
    this.#loud = !this.#isCut && above > margin_db ? this.#loud + 1 : 0;
    if (this.#loud < FEWEST_LOUD) return;
    const begun = this.#recent.slice(-frames);
    this.#sound = { first: this.#frame - begun.length + 1, lastLoud: this.#frame, frames: begun };
  }

  #end({ first, lastLoud, frames }: Ongoing, last: number): Sound {
    const { n_mels, hop, window } = this.#layout;
    const powers = new Float32Array(this.#layout.frames * n_mels);
    for (const [i, frame] of frames.slice(0, this.#layout.frames).entries()) {
      powers.set(frame, i * n_mels);
    }
    this.#sound = undefined;
    this.#recent = [];
    this.#loud = 0;
    return {
      input: powersToInput(powers, this.#layout),
      start: first * hop,
      end: lastLoud * hop + window,
      heard: last * hop + window,
    };
  }
}
