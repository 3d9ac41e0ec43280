/**
 * A standby keeps higher limits than the spec until it has replayed that its primary has lower ones:
 * from then on it can take them over, and says that it needs a restart for them.
 */
import { type Log } from '../adapters/log';
import { messageOf } from '../core/errors';
import { type Machine, heldBackBy } from '../core/settings';
import { limitsOfPrimary } from './configuration';
import { type LocalState } from './local-state';

const LOOK_EVERY_MS = 1000;

export interface LimitsWatchOptions {
  readonly state: LocalState;
  readonly machine: Machine;
  /** The data directory. */
  readonly directory: string;
  readonly binDirectory: string;
  readonly log: Log;
}

export class LimitsWatch {
  readonly #options: LimitsWatchOptions;
  #isLooking = false;

  constructor(options: LimitsWatchOptions) {
    this.#options = options;
    setInterval(() => void this.#look(), LOOK_EVERY_MS).unref();
  }

  async #look(): Promise<void> {
    const { state, log } = this.#options;
    if (this.#isLooking || state.values.heldBack.length === 0) return;
    this.#isLooking = true;
    try {
      if (await this.#hasChanged()) state.set({ settingsApplied: null });
    } catch (error) {
      // Looked at again in a moment.
      log.debug('The limits of the primary cannot be read', { error: messageOf(error) });
    } finally {
      this.#isLooking = false;
    }
  }

  async #hasChanged(): Promise<boolean> {
    const { state, machine, directory, binDirectory } = this.#options;
    const limits = await limitsOfPrimary(directory, binDirectory);
    const { heldBack, settingsApplied } = state.values;
    if (settingsApplied === null) return false;
    const names = Object.keys(heldBackBy(settingsApplied, machine, limits));
    return names.join() !== heldBack.join();
  }
}
