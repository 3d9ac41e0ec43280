import { messageOf, OperatingError } from '../../src/core/errors';

/** The operating error with which an effect fails; anything else fails the test. */
export async function failureOf(effect: Promise<unknown>): Promise<OperatingError> {
  try {
    await effect;
  } catch (error) {
    if (error instanceof OperatingError) return error;
    throw new Error(`not an operating error: ${messageOf(error)}`, { cause: error });
  }
  throw new Error('it should not have worked');
}
