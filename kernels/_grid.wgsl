// _grid: how the workgroups of one dispatch wait for each other, and what they hand over.
// WebGPU promises that atomics are seen by all, and not that all workgroups run at the same time: so there are as many
// as the device was seen to run at once, and a wait that takes too long is given up. What is computed after that is
// wrong, and says so: the host then repeats the work without this kernel.
// Between arrive() and wait() a workgroup loads what does not depend on the others: the fence in arrive() waits for
// loads under way, so those before it would not be hidden.
// The kernel declares exchange, of atomic<u32>, and GROUPS.

// Words of exchange, a cache line apart. The host clears them before each dispatch.
const ARRIVALS = 0u;
const TIMED_OUT = 32u;

// Looks in quick succession, for the usual wait.
const QUICK_LOOKS = 1000u;

// How many times all have met, and how often a lane looks before it gives up.
var<private> meetings: u32;
var<private> patience: u32;

fn arrive(lane: u32) {
  if (GROUPS > 1u) {
    meetings += 1u;
    storageBarrier();
    if (lane == 0u) {
      atomicAdd(&exchange[ARRIVALS], 1u);
    }
  }
}

// Numbers that take a while: a software adapter ends loops by itself after some ten thousand rounds, whatever they do.
fn pass_time(k: vec2<u32>) -> vec2<u32> {
  return threefry(threefry(threefry(threefry(k, k), k), k), k);
}

// Until all workgroups have arrived as often as this one.
fn wait(lane: u32) {
  if (GROUPS > 1u && lane == 0u) {
    let expected = meetings * GROUPS;
    var arrived = atomicLoad(&exchange[ARRIVALS]);
    var looks = 0u;
    var passed = vec2<u32>(0u);
    while (arrived < expected && looks < patience && passed.x != 1u) {
      looks += 1u;
      if (looks > QUICK_LOOKS) {
        passed = pass_time(pass_time(pass_time(pass_time(passed))));
      }
      arrived = atomicLoad(&exchange[ARRIVALS]);
    }
    if (arrived < expected) {
      atomicStore(&exchange[TIMED_OUT], 1u);
      patience = 0u; // so that no later wait takes as long
    }
  }
  if (GROUPS == 1u) {
    storageBarrier();
  }
  workgroupBarrier();
}

fn meet(lane: u32) {
  arrive(lane);
  wait(lane);
}

fn hand_over(place: u32, value: f32) {
  atomicStore(&exchange[place], bitcast<u32>(value));
}

fn handed(place: u32) -> f32 {
  return bitcast<f32>(atomicLoad(&exchange[place]));
}

// Their loads overlap.
fn handed4(place: u32) -> vec4<f32> {
  return vec4<f32>(handed(place), handed(place + 1u), handed(place + 2u), handed(place + 3u));
}
