/** Every Prometheus client has these, under the same names. */
import { counter, gauge, type Families } from './family';

export const processFamilies = {
  process_cpu_seconds_total: counter('Processor time that the process has taken.'),
  process_start_time_seconds: gauge('When the process was started.'),
  process_resident_memory_bytes: gauge('Memory that it occupies.'),
  process_open_fds: gauge('File descriptors that it has open.'),
  nodejs_heap_size_used_bytes: gauge('Memory that JavaScript objects occupy.'),
  nodejs_eventloop_active_seconds_total: counter('Time in which its event loop was not idle.'),
} as const satisfies Families;
