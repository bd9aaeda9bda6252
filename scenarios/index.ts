// SPDX-License-Identifier: MIT
import type { Scenario } from '../harness/index.js';
import * as api from './api.js';
import * as callbacks from './callbacks.js';
import * as exec from './exec.js';
import * as ftrace from './ftrace.js';
import * as immediate from './immediate.js';
import * as kinds from './kinds.js';
import * as later from './later.js';
import * as lifeCycle from './life-cycle.js';
import * as load from './load.js';
import * as modules from './modules.js';
import * as passes from './passes.js';
import * as refused from './refused.js';
import * as registration from './registration.js';
import * as reversal from './reversal.js';
import * as shadow from './shadow.js';
import * as stacks from './stacks.js';
import * as symbols from './symbols.js';
import * as sysfs from './sysfs.js';
import * as systemCalls from './system-calls.js';
import * as tasks from './tasks.js';
import * as transition from './transition.js';

/** Every scenario that comes with the harness, in the order they run. */
export const scenarios: readonly Scenario[] = [
  lifeCycle,
  transition,
  tasks,
  kinds,
  exec,
  stacks,
  passes,
  systemCalls,
  reversal,
  load,
  modules,
  ftrace,
  later,
  callbacks,
  shadow,
  sysfs,
  registration,
  symbols,
  refused,
  api,
  immediate,
].flatMap((file) => Object.values(file));
