// _grid: how the workgroups of one dispatch wait for each other, and what they hand over.
// WebGPU promises that atomics are seen by all, and not that all workgroups run at the same time: so there are as many
// as the device was seen to run at once, and a wait that takes too long is given up. What is computed after that is
// wrong, and says so: the host then repeats the work without this kernel.
// A number that is posted needs no meeting: it is in two words, which say beside their half of it what it is of (the
// mark), and whoever needs it looks until both say so. So nothing depends on the order in which words are seen. A board
// has room for two marks in turn: who posts for one has read what all posted for the last.
// The kernel declares exchange, of atomic<u32>, and GROUPS.

// Words of exchange, a cache line apart. The host clears all of it before each dispatch.
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

// Whether a lane has looked in vain for too long, or another one has.
fn gives_up(looks: u32) -> bool {
  let is_over = looks >= patience;
  if (is_over) {
    atomicStore(&exchange[TIMED_OUT], 1u);
  }
  if (is_over || (looks % 256u == 255u && atomicLoad(&exchange[TIMED_OUT]) == 1u)) {
    patience = 0u; // so that no later wait takes as long
    return true;
  }
  return false;
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

// A board of `count` numbers has, of either mark, the halves of the first of each four, then of the second, ...
fn place_on(board: u32, fours: u32, mark: u32, i: u32) -> u32 {
  return board + mark % 2u * 8u * fours + i % 4u * 2u * fours + i / 4u;
}

fn post(board: u32, count: u32, mark: u32, i: u32, value: f32) {
  let fours = (count + 3u) / 4u;
  let at = place_on(board, fours, mark, i);
  let bits = bitcast<u32>(value);
  atomicStore(&exchange[at], (mark << 16u) | (bits >> 16u));
  atomicStore(&exchange[at + fours], (mark << 16u) | (bits & 0xffffu));
}

// Number i of a board.
fn posted(board: u32, count: u32, mark: u32, i: u32) -> f32 {
  let fours = (count + 3u) / 4u;
  let at = place_on(board, fours, mark, i);
  var looks = 0u;
  var high = atomicLoad(&exchange[at]);
  var low = atomicLoad(&exchange[at + fours]);
  while ((high >> 16u != mark || low >> 16u != mark) && !gives_up(looks)) {
    looks += 1u;
    high = atomicLoad(&exchange[at]);
    low = atomicLoad(&exchange[at + fours]);
  }
  return bitcast<f32>((high << 16u) | (low & 0xffffu));
}

// Words of four numbers.
struct Words {
  high: vec4<u32>,
  low: vec4<u32>,
}

// Their loads overlap.
fn load4(at: u32, stride: u32) -> vec4<u32> {
  return vec4<u32>(atomicLoad(&exchange[at]), atomicLoad(&exchange[at + stride]),
                   atomicLoad(&exchange[at + 2u * stride]), atomicLoad(&exchange[at + 3u * stride]));
}

// What numbers 4 v to 4 v + 3 of a board are by now; nothing past the last one.
fn look(board: u32, count: u32, mark: u32, v: u32) -> Words {
  let fours = (count + 3u) / 4u;
  if (v >= fours) {
    return Words(vec4<u32>(0u), vec4<u32>(0u));
  }
  let at = place_on(board, fours, mark, 4u * v);
  return Words(load4(at, 2u * fours), load4(at + fours, 2u * fours));
}

// Looks on until all of them that there are have been posted; zero past the last one.
fn wait_for(first: Words, board: u32, count: u32, mark: u32, v: u32) -> vec4<f32> {
  let exists = vec4<u32>(4u * v, 4u * v + 1u, 4u * v + 2u, 4u * v + 3u) < vec4<u32>(count);
  let wanted = select(vec4<u32>(0u), vec4<u32>(mark), exists);
  var looks = 0u;
  var high = first.high;
  var low = first.low;
  while (any((high >> vec4<u32>(16u)) != wanted) || any((low >> vec4<u32>(16u)) != wanted)) {
    if (gives_up(looks)) {
      break;
    }
    looks += 1u;
    let words = look(board, count, mark, v);
    high = words.high;
    low = words.low;
  }
  return bitcast<vec4<f32>>((high << vec4<u32>(16u)) | (low & vec4<u32>(0xffffu)));
}

fn posted4(board: u32, count: u32, mark: u32, v: u32) -> vec4<f32> {
  return wait_for(look(board, count, mark, v), board, count, mark, v);
}
