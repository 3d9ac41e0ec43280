/** A process that is nothing but an instance manager. */
import { runInstance } from '../../../src/instance/main';

void runInstance(process.env).then((code) => {
  process.exitCode = code;
});
