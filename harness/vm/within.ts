// SPDX-License-Identifier: MIT
import { DeadlineError } from '../errors.js';

/**
 * What `promise` gives, if it does so in time.
 * @param awaited completes the sentence "waited 30 s for …"
 * @throws DeadlineError after `milliseconds`, or what the promise is rejected with
 */
export async function within<T>(promise: Promise<T>, milliseconds: number, awaited: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(awaited, milliseconds)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
