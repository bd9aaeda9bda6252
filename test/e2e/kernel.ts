// SPDX-License-Identifier: MIT
import { findKernel } from '../../kernels/catalogue.js';
import type { AcquiredKernel } from '../../kernels/types.js';

/** The kernel that tests with a guest boot: the host suite's stock x86-64 kernel. */
export const stockName = 'stock';

/** It, acquired; fetched when the cache lacks it. */
export async function stockKernel(): Promise<AcquiredKernel> {
  return (await findKernel(stockName)).acquire(() => undefined);
}
