/// <reference lib="dom" />
/** "This device": what it offers, and every kernel against the oracle on it. */

import type { Backend } from "../../../mod.ts";
import type { Offer } from "../calls.ts";
import { type EngineClient, isAbort } from "../engine_client.ts";
import { create, find } from "../find.ts";
import { formatCount, formatTime } from "../format.ts";
import type { CheckRow } from "../worker/checks.ts";

/** A kernel's checks on one executor. */
interface KernelResult {
  readonly row: HTMLTableRowElement;
  readonly checks: CheckRow[];
}

/** Sets up the section. */
export function openChecksSection(engine: EngineClient): void {
  const section = new ChecksSection(engine);
  void section.describe();
}

class ChecksSection {
  readonly #engine: EngineClient;
  readonly #body = find("checks-rows", HTMLElement);
  readonly #status = find("checks-status", HTMLElement);
  readonly #stop = find("checks-stop", HTMLButtonElement);
  readonly #starts = [
    find("checks-quick", HTMLButtonElement),
    find("checks-all", HTMLButtonElement),
  ];
  readonly #kernels = new Map<string, KernelResult>();
  #checks: CheckRow[] = [];
  #offer: Offer | undefined;
  #controller: AbortController | undefined;

  constructor(engine: EngineClient) {
    this.#engine = engine;
    for (const [index, button] of this.#starts.entries()) {
      button.addEventListener("click", () => void this.#run(index === 0));
    }
    this.#stop.addEventListener("click", () => this.#controller?.abort());
    find("checks-copy", HTMLButtonElement).addEventListener("click", () => void this.#copy());
  }

  /** Shows what the browser says of the machine. */
  async describe(): Promise<void> {
    const offer = this.#offer = await this.#engine.call("offer", undefined);
    const { adapter, isSoftware, threads, isIsolated, limits, features } = offer;
    const facts: [string, string][] = [
      [
        "WebGPU",
        adapter === undefined
          ? "no adapter"
          : `${adapter}${isSoftware ? ", which computes on the CPU" : ""}`,
      ],
      [
        "WebAssembly",
        threads > 1
          ? `up to ${threads} threads`
          : isIsolated
          ? "one thread"
          : "one thread, as the server does not isolate the page",
      ],
      ["Browser", navigator.userAgent],
      ...Object.entries(limits).map(([name, value]): [string, string] => [
        name,
        formatCount(value),
      ]),
      ["Features", features.join(", ") || "none"],
    ];
    const list = find("device-facts", HTMLElement);
    for (const [name, value] of facts) {
      list.append(create("dt", { text: name }), create("dd", { text: value }));
    }
  }

  async #run(isQuick: boolean): Promise<void> {
    const controller = this.#controller = new AbortController();
    this.#checks = [];
    this.#kernels.clear();
    this.#body.replaceChildren();
    this.#setRunning(true);
    const hasDefaultLimits = find("checks-default-limits", HTMLInputElement).checked;
    const backends: Backend[] = this.#offer?.adapter === undefined ? ["cpu"] : ["cpu", "webgpu"];
    const start = performance.now();
    try {
      for (const backend of backends) {
        await this.#engine.call("check", { backend, isQuick, hasDefaultLimits }, {
          signal: controller.signal,
          onEvent: (row) => this.#add(backend, row),
        });
      }
      this.#status.textContent = `${this.#summary()} in ${formatTime(performance.now() - start)}.`;
    } catch (error) {
      this.#status.textContent = isAbort(error)
        ? `Stopped. ${this.#summary()}.`
        : error instanceof Error
        ? error.message
        : String(error);
    } finally {
      this.#setRunning(false);
    }
  }

  #setRunning(isRunning: boolean): void {
    for (const button of this.#starts) button.disabled = isRunning;
    this.#stop.disabled = !isRunning;
  }

  #summary(): string {
    const passed = this.#checks.filter((check) => check.passed).length;
    const failed = this.#checks.length - passed;
    return `${formatCount(passed)} checks passed, ${formatCount(failed)} failed`;
  }

  #add(backend: Backend, check: CheckRow): void {
    this.#checks.push(check);
    this.#status.textContent = `${this.#summary()} so far: ${check.kernel} …`;
    const key = `${backend}:${check.kernel}`;
    let result = this.#kernels.get(key);
    if (result === undefined) {
      result = { row: create("tr"), checks: [] };
      this.#kernels.set(key, result);
      this.#body.append(result.row);
    }
    result.checks.push(check);
    this.#fill(backend, result);
  }

  #fill(backend: Backend, { row, checks }: KernelResult): void {
    const failed = checks.filter(({ passed }) => !passed);
    const worst = Math.max(...checks.map((check) => check.worst));
    const elapsedMs = checks.reduce((sum, check) => sum + check.elapsedMs, 0);
    const cells = [
      checks[0]?.kernel ?? "",
      backend === "cpu" ? "WebAssembly" : "WebGPU",
      failed.length === 0
        ? `${checks.length} passed`
        : `${failed.length} of ${checks.length} failed`,
      worst.toFixed(3),
      formatTime(elapsedMs),
    ];
    const head = create("th", { text: cells[0] ?? "" });
    head.scope = "row";
    row.replaceChildren(head, ...cells.slice(1).map((text) => create("td", { text })));
    row.className = failed.length === 0 ? "" : "failed";
    for (const { name, detail } of failed.slice(0, 3)) {
      row.children[2]?.append(create("small", { text: `${name}: ${detail}` }));
    }
  }

  async #copy(): Promise<void> {
    const report = { ...this.#offer, browser: navigator.userAgent, checks: this.#checks };
    try {
      await navigator.clipboard.writeText(JSON.stringify(report, undefined, 2));
      this.#status.textContent = `Copied ${formatCount(this.#checks.length)} results as JSON.`;
    } catch {
      this.#status.textContent = "Cannot copy: the browser does not let this page write to the " +
        "clipboard.";
    }
  }
}
