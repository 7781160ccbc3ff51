/** What executors throw that callers tell apart. */

/** No adapter, or one that lacks what is needed. Another machine or driver may help; retrying will not. */
export class UnsupportedDeviceError extends Error {
  /** The class's name. */
  override name = "UnsupportedDeviceError";
}

/** The device went away (driver reset, unplugged, out of memory). Everything on it is gone: load the model again. */
export class DeviceLostError extends Error {
  /** The class's name. */
  override name = "DeviceLostError";
}
