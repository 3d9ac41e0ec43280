/** This process, as the kernel and Node see it. */
import { readdirSync } from 'node:fs';
import { processFamilies } from '../../core/metrics/process';
import { sampled } from '../../core/metrics/family';
import { type Source } from './exposition';

const MICROSECONDS = 1_000_000;

export const processSource: Source = {
  families: processFamilies,
  read: () => {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    return sampled(
      {},
      {
        process_cpu_seconds_total: (user + system) / MICROSECONDS,
        process_start_time_seconds: performance.timeOrigin / 1000,
        process_resident_memory_bytes: rss,
        process_open_fds: openFiles(),
        nodejs_heap_size_used_bytes: heapUsed,
        nodejs_eventloop_active_seconds_total: performance.eventLoopUtilization().active / 1000,
      },
    );
  },
};

function openFiles(): number | null {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    // Elsewhere than on Linux.
    return null;
  }
}
