import { assertRejects } from "@std/assert";
import { loadModel } from "../../mod.ts";
import "../settle_readbacks.ts";

/** Answers that have no end, or no beginning; none says how long it is. */
const BODIES: Readonly<Record<string, (controller: ReadableStreamDefaultController) => void>> = {
  "without an end": (controller) => controller.enqueue(new Uint8Array(1000)),
  "that never goes on": () => {},
};

for (const [name, pull] of Object.entries(BODIES)) {
  const endless = () => {
    let sent = 0;
    return new Response(
      new ReadableStream({
        pull(controller) {
          // A first chunk makes it an answer.
          if (sent++ === 0) controller.enqueue(new Uint8Array(10));
          else pull(controller);
        },
      }),
    );
  };

  Deno.test(`loadModel() ends with the signal's reason in a server's body ${name}`, async () => {
    const { promise: isAsked, resolve: ask } = Promise.withResolvers<void>();
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
      ask();
      return endless();
    });
    const controller = new AbortController();
    const { signal } = controller;
    const loading = loadModel(`http://127.0.0.1:${server.addr.port}/model/`, { signal });
    isAsked.then(() => setTimeout(() => controller.abort(new RangeError("enough")), 10));
    await assertRejects(() => loading, RangeError, "enough");
    await server.shutdown();
  });

  Deno.test(`loadModel() ends with the signal's reason in a fetch's body ${name}`, async () => {
    // It knows nothing of the signal, and always has something to give.
    const fetch = () => Promise.resolve(endless());
    const controller = new AbortController();
    const { signal } = controller;
    setTimeout(() => controller.abort(new RangeError("enough")), 10);
    await assertRejects(
      () => loadModel("http://127.0.0.1:1/model/", { signal, fetch }),
      RangeError,
      "enough",
    );
  });
}
