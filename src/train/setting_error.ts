/** A setting that no run can have: on a command line it is a wrong value. */
export class SettingError extends RangeError {
  /** The class's name. */
  override readonly name = "SettingError";
}
