// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target } from '../harness/index.js';

/* A program is executed by one thread of a process while another is in a patched function. */

const lib = target('klp_target');
const pair = livepatch('klp_pair', { klp_target: ['klp_target_alpha', 'klp_target_beta'] }, { uses: [gateOf(lib)] });

export const execKills = scenario({
  id: 'exec-kills-who-holds',
  title: 'A thread executes a program: another of its process, asleep in the patched function where a signal reaches it, is killed and holds the transition no more',
  clauses: ['CHK-1', 'CHK-3', 'TRN-1', 'TRN-2', 'TRN-5', 'TRN-7'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, pair],
  async run({ load, disable, park, threadGroup, observe }) {
    await load(lib);
    const byMember = await threadGroup(lib.alpha, { held: 'member', executes: 'member', activity: 'interruptible' });
    const elsewhere = await park(lib.beta);
    await load(pair);
    await observe.settledThreads();
    await byMember.held.witness();
    await byMember.exec();
    await observe.settledThreads();
    await observe.transitionEnd(pair);
    await elsewhere.witness();
    await byMember.call();
    await elsewhere.release();
    await observe.transitionEnd(pair);
    await observe.threads();

    const byLeader = await threadGroup(lib.alpha, { held: 'member', executes: 'leader', activity: 'interruptible' });
    await disable(pair);
    await observe.settledThreads();
    await byLeader.held.witness();
    await byLeader.exec();
    await observe.transitionEnd(pair);
    await observe.threads();
    await byLeader.call();
  },
});

export const execWaits = scenario({
  id: 'exec-waits-for-who-holds',
  title: 'A thread executes a program, and waits for another of its process that sleeps uninterruptibly in the patched function: the transition is held until that one leaves',
  clauses: ['CHK-1', 'CHK-3', 'TRN-1', 'TRN-2', 'TRN-5', 'TRN-7'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, pair],
  async run({ load, disable, park, threadGroup, observe }) {
    await load(lib);
    const leaderHeld = await threadGroup(lib.alpha, { held: 'leader', executes: 'member' });
    const elsewhere = await park(lib.beta);
    await load(pair);
    await observe.settledThreads();
    await leaderHeld.exec();
    await observe.settledThreads();
    await observe.transitionEnd(pair);
    await leaderHeld.held.witness();
    await leaderHeld.held.release();
    await leaderHeld.executed();
    await observe.settledThreads();
    await elsewhere.witness();
    await leaderHeld.call();
    await elsewhere.release();
    await observe.transitionEnd(pair);
    await observe.threads();

    const memberHeld = await threadGroup(lib.alpha, { held: 'member', executes: 'member' });
    await disable(pair);
    await observe.settledThreads();
    await memberHeld.exec();
    await observe.settledThreads();
    await observe.transitionEnd(pair);
    await memberHeld.held.witness();
    await memberHeld.held.release();
    await memberHeld.executed();
    await observe.transitionEnd(pair);
    await observe.threads();
    await memberHeld.call();
  },
});
