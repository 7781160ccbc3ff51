// The entry of the build with threads.

export { heapStart, packRows, packScales, run } from "./main";
export { setThreads, work } from "./threads";
