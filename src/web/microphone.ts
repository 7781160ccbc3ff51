/// <reference lib="dom" />
/** The microphone, from the question whether it may be used until it is off. */

/** Sound as it is: what makes calls clear would change words. */
const AS_IT_IS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** What went wrong, in words, by the browser's name for it. */
const REASONS: Readonly<Record<string, string>> = {
  NotAllowedError:
    "the microphone was not allowed. Allow it in the browser's settings of this page",
  NotFoundError: "there is no microphone",
  NotReadableError: "the microphone gives nothing. Another program may have it",
};

/** A microphone that is on. */
export interface Microphone {
  /** Samples a second. */
  readonly sampleRate: number;
  /** Where its samples come out from now on, of one channel, some at a time. */
  samples(): Promise<MessagePort>;
  /** Turns it off. */
  close(): Promise<void>;
}

/**
 * Asks for the microphone.
 *
 * @param signal Ends the wait for the answer.
 * @param onEnd Is told where it goes away.
 * @throws {Error} If there is none, or none for this page.
 */
export async function openMicrophone(
  signal: AbortSignal,
  onEnd: () => void,
): Promise<Microphone> {
  // Browsers have none for pages that came unprotected, whatever their types say.
  const { mediaDevices } = navigator as { mediaDevices?: MediaDevices };
  if (mediaDevices === undefined) {
    throw new Error("Cannot listen: a microphone is for pages by https or from localhost alone");
  }
  // While the click is answered: a context that is made later may have to wait for another.
  const context = new AudioContext();
  let stream: MediaStream | undefined;
  const close = async () => {
    for (const track of stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (context.state !== "closed") await context.close();
  };
  try {
    const asked = mediaDevices.getUserMedia({ audio: AS_IT_IS });
    stream = await orAbort(asked, signal);
  } catch (error) {
    await close();
    if (signal.aborted || !(error instanceof Error)) throw error;
    throw new Error(`Cannot listen: ${REASONS[error.name] ?? error.message}`, { cause: error });
  }
  for (const track of stream.getTracks()) track.onended = onEnd;
  const mediaStream = stream;
  return {
    sampleRate: context.sampleRate,
    async samples() {
      await context.audioWorklet.addModule(new URL("./microphone_worklet.js", import.meta.url));
      await context.resume();
      const { port1, port2 } = new MessageChannel();
      const node = new AudioWorkletNode(context, "microphone", {
        ...{ channelCount: 1, channelCountMode: "explicit" },
      });
      node.port.postMessage(undefined, [port1]);
      new MediaStreamAudioSourceNode(context, { mediaStream }).connect(node);
      // Not every browser runs what leads nowhere; what this plays is silence.
      node.connect(context.destination);
      return port2;
    },
    close,
  };
}

/** The microphone, unless the signal comes before the answer; one that is allowed later is turned off at once. */
async function orAbort(asked: Promise<MediaStream>, signal: AbortSignal): Promise<MediaStream> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([asked, promise]);
  } catch (error) {
    asked.then((stream) => stream.getTracks().forEach((track) => track.stop()), () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
