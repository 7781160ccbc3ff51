// How threads share an op. Its items are cut into chunks of `grain`, and whoever is free takes the next. An op is done
// when its chunks are: the caller waits for those that were taken, and never for a thread that has taken none, which on
// a busy machine may not run for milliseconds.
//
// The ticket holds the op's number and the chunks left in one word, so that a thread that saw an older op cannot take a
// chunk of this one by mistake: the exchange fails. A taken chunk keeps the op from ending, and so its record in place.
//
// A worker may still be interrupted in the middle of a chunk. Where the caller has waited for that, it works alone for
// some times as long: on a machine so busy, threads then never cost more than a small part of what they could bring.

import {
  CALLER_MAY_SLEEP, CALLER_SLEEPS, DONE, opNumber, RECORD, setOpNumber, setThread, SLEEPERS, THREADS, TICKET,
} from "./control";
import { dispatch } from "./dispatch";
import { grainOf, itemsOf } from "./record";

/** The half of the ticket that changes from op to op: what workers sleep on. */
const TICKET_NUMBER: usize = TICKET + 4;

/** Looks at the ticket before a worker sleeps: some tens of microseconds, longer than ops on one thread take. */
const WORKER_LOOKS: u32 = 20000;

/** Looks before the caller sleeps: longer than a chunk takes, so that a worker that is still at one is interrupted. */
const CALLER_LOOKS: u32 = 80000;

/** How long they take, about, in milliseconds. */
const CALLER_LOOKS_MS: f64 = 0.1;

/** For how many times as long as an interruption the caller works alone: what it waits is a twentieth then. */
const ALONE_FACTOR: f64 = 20;

/** Until when the caller works alone, or 0. */
let aloneUntil: f64 = 0;

/** performance.now() */
// @ts-ignore: decorator
@external("env", "now")
declare function now(): f64;

const FOREVER: i64 = -1;

// @ts-ignore: decorator
@inline
function chunksOf(rec: usize): u32 {
  const grain = grainOf(rec);
  return (itemsOf(rec) + grain - 1) / grain;
}

/** Computes the op `opNumber` at `rec`, with whoever helps. */
export function computeShared(rec: usize): void {
  const chunks = chunksOf(rec);
  if (chunks == 1 || atomic.load<u32>(THREADS) == 1 || worksAlone()) {
    dispatch(rec, 0, itemsOf(rec));
    return;
  }
  store<u32>(RECORD, rec);
  atomic.store<u32>(DONE, 0);
  atomic.store<u64>(TICKET, (<u64>opNumber << 32) | chunks);
  if (atomic.load<u32>(SLEEPERS) != 0) atomic.notify(TICKET_NUMBER, -1);
  let left = chunks;
  while (true) {
    const ticket = atomic.load<u64>(TICKET);
    if (<u32>ticket == 0) break;
    if (atomic.cmpxchg<u64>(TICKET, ticket, ticket - 1) != ticket) continue;
    computeChunk(rec, chunks - <u32>ticket);
    left--;
  }
  waitForWorkers(left);
}

// @ts-ignore: decorator
@inline
function worksAlone(): bool {
  if (aloneUntil == 0) return false;
  if (now() < aloneUntil) return true;
  aloneUntil = 0;
  return false;
}

function computeChunk(rec: usize, chunk: u32): void {
  const grain = grainOf(rec);
  dispatch(rec, chunk * grain, min<u32>((chunk + 1) * grain, itemsOf(rec)));
}

function waitForWorkers(chunks: u32): void {
  let looks: u32 = 0;
  let start: f64 = 0;
  while (true) {
    let done = atomic.load<u32>(DONE);
    if (done == chunks) break;
    if (++looks < CALLER_LOOKS) continue;
    if (looks == CALLER_LOOKS) start = now();
    if (load<u32>(CALLER_MAY_SLEEP) == 0) continue;
    atomic.store<u32>(CALLER_SLEEPS, 1);
    done = atomic.load<u32>(DONE);
    if (done != chunks) atomic.wait<i32>(DONE, done, FOREVER);
    atomic.store<u32>(CALLER_SLEEPS, 0);
  }
  if (start == 0) return;
  const end = now();
  aloneUntil = end + ALONE_FACTOR * (end - start + CALLER_LOOKS_MS);
}

/** A worker's life: takes chunks until it is told to return. */
export function work(index: u32): void {
  setThread(index);
  let looks: u32 = 0;
  while (true) {
    const threads = atomic.load<u32>(THREADS);
    if (threads == 0) return;
    if (index >= threads) {
      atomic.wait<i32>(THREADS, threads, FOREVER);
      continue;
    }
    const ticket = atomic.load<u64>(TICKET);
    if (<u32>ticket != 0) {
      if (atomic.cmpxchg<u64>(TICKET, ticket, ticket - 1) == ticket) help(ticket);
      looks = 0;
      continue;
    }
    if (++looks < WORKER_LOOKS) continue;
    looks = 0;
    atomic.add<u32>(SLEEPERS, 1);
    atomic.wait<i32>(TICKET_NUMBER, <u32>(ticket >> 32), FOREVER);
    atomic.sub<u32>(SLEEPERS, 1);
  }
}

function help(ticket: u64): void {
  setOpNumber(<u32>(ticket >> 32));
  const rec: usize = load<u32>(RECORD);
  computeChunk(rec, chunksOf(rec) - <u32>ticket);
  atomic.add<u32>(DONE, 1);
  if (atomic.load<u32>(CALLER_SLEEPS) != 0) atomic.notify(DONE, 1);
}

/** Says how many threads may take chunks from now on; 0 ends the workers. */
export function setThreads(threads: u32): void {
  atomic.store<u32>(THREADS, threads);
  atomic.notify(THREADS, -1);
  // Those that sleep until there is an op find that the number has changed, and look again.
  setOpNumber(opNumber + 1);
  atomic.store<u64>(TICKET, <u64>opNumber << 32);
  atomic.notify(TICKET_NUMBER, -1);
}
