/** What a page lacks: files of one's own, and Deno's classes of errors for them. */

const { Deno: deno } = globalThis as { Deno?: typeof Deno };

/** Whether this runs where there are files: in Deno. */
export const HAS_FILES: boolean = deno !== undefined;

/** There is no such file. In Deno it is Deno's own class, so that `instanceof Deno.errors.NotFound` holds. */
export const NotFound: new (message?: string, options?: ErrorOptions) => Error =
  deno?.errors.NotFound ?? class NotFound extends Error {
    override readonly name = "NotFound";
  };
