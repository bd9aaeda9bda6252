// SPDX-License-Identifier: MIT
import { type ProbeOptions, type Scenario, livepatch, replacementOf, scenario, target, vmlinux } from '../harness/index.js';

const lib = target('klp_target');
const patch = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] });
const second = livepatch('klp_alpha_too', { klp_target: ['klp_target_alpha'] });
const beta = livepatch('klp_beta', { klp_target: ['klp_target_beta'] });

// ---- what ftrace refuses -----------------------------------------------------------------------------------------

const untraced = livepatch(
  'klp_untraced',
  { vmlinux: ['cmdline_proc_show'], klp_target: ['klp_target_alpha', 'klp_target_quiet'] },
  { driven: true },
);

export const untracedFunction = scenario({
  id: 'untraced-function',
  title: 'A patch of a function that ftrace cannot attach to fails to enable, and what was patched before is taken back',
  clauses: ['FTR-1', 'ENA-10', 'TRN-2'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, untraced],
  async run({ load, api, model, observe }) {
    await load(lib);
    await load(untraced);
    if (model.facts.capabilities.has('registration')) await api.register(untraced);
    await api.enable(untraced);
    await observe.sysfs(untraced);
    await observe.threads();
    await observe.call({ object: vmlinux, name: 'cmdline_proc_show' });
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
    await observe.references(untraced);
  },
});

// ---- kprobes -----------------------------------------------------------------------------------------------------

/** A probe is there first, and a patch of its function comes; then the probe goes, and the patch is tried again. */
function probeFirst(id: string, title: string, options: ProbeOptions, clause: string): Scenario {
  return scenario({
    id,
    title,
    clauses: [clause, 'ENA-12', 'DIS-4'],
    needs: ['livepatch', 'reliable-stacks', 'kprobes'],
    modules: [lib, patch, second],
    async run({ load, disable, probe, unprobe, observe }) {
      await load(lib);
      await probe(lib.alpha, options);
      await observe.probeHit(lib.alpha);
      await observe.ftrace(lib.alpha);
      await load(patch);
      await observe.sysfs(patch);
      await observe.probeHit(lib.alpha);
      await observe.ftrace(lib.alpha);
      await observe.threads();

      await unprobe(lib);
      await load(second);
      await observe.transitionEnd(second);
      await observe.call(lib.alpha);
      await disable(second);
      await observe.transitionEnd(second);
      await observe.call(lib.alpha);
    },
  });
}

/** A patch is there first, and a probe in its function comes; the patch goes again. */
function patchFirst(id: string, title: string, options: ProbeOptions, clause: string): Scenario {
  return scenario({
    id,
    title,
    clauses: [clause, 'ENA-12', 'ENA-11', 'DIS-4'],
    needs: ['livepatch', 'reliable-stacks', 'kprobes'],
    modules: [lib, patch],
    splats: [/kernel\/kprobes\.c/],
    async run({ load, disable, probe, observe }) {
      await load(lib);
      await load(patch);
      await observe.transitionEnd(patch);
      await observe.ftrace(lib.alpha);
      await probe(lib.alpha, options);
      await observe.probeHit(lib.alpha);
      await observe.ftrace(lib.alpha);
      await disable(patch);
      await observe.transitionEnd(patch);
      await observe.probeHit(lib.alpha);
    },
  });
}

export const kretprobeFirst = probeFirst(
  'kretprobe-then-patch',
  'A kretprobe has a function when a patch of it comes: the first user wins, where they cannot share it',
  { place: 'return' },
  'FTR-2',
);

export const kretprobeSecond = patchFirst(
  'patch-then-kretprobe',
  'A patch has a function when a kretprobe comes: the first user wins, where they cannot share it',
  { place: 'return' },
  'FTR-2',
);

export const kprobeFirst = probeFirst(
  'kprobe-then-patch',
  'A kprobe sits on the entry of a function when a patch of it comes',
  { place: 'entry' },
  'FTR-3',
);

export const kprobeSecond = patchFirst(
  'patch-then-kprobe',
  'A patch has a function when a kprobe on its entry comes',
  { place: 'entry' },
  'FTR-3',
);

export const postHandlerFirst = probeFirst(
  'kprobe-with-post-handler-then-patch',
  'A kprobe with a post_handler sits on the entry of a function when a patch of it comes',
  { place: 'entry', postHandler: true },
  'FTR-3',
);

export const postHandlerSecond = patchFirst(
  'patch-then-kprobe-with-post-handler',
  'A patch has a function when a kprobe with a post_handler on its entry comes',
  { place: 'entry', postHandler: true },
  'FTR-3',
);

export const probeInside = scenario({
  id: 'kprobe-inside-a-patched-function',
  title: 'A kprobe in the middle of a function runs while the original does, and not while a patch redirects it',
  clauses: ['FTR-4', 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks', 'kprobes'],
  modules: [lib, patch],
  async run({ load, disable, probe, observe }) {
    await load(lib);
    await probe(lib.alpha, { place: 'inside' });
    await observe.probeHit(lib.alpha);
    await observe.ftrace(lib.alpha);
    await load(patch);
    await observe.transitionEnd(patch);
    await observe.probeHit(lib.alpha);
    await observe.ftrace(lib.alpha);
    await disable(patch);
    await observe.transitionEnd(patch);
    await observe.probeHit(lib.alpha);
    await observe.ftrace(lib.alpha);
  },
});

export const probeInsideLater = scenario({
  id: 'kprobe-set-inside-a-patched-function',
  title: 'A kprobe that is set in the middle of a redirected function is accepted, and runs only once the patch has gone',
  clauses: ['FTR-4', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks', 'kprobes'],
  modules: [lib, patch],
  async run({ load, disable, probe, unprobe, observe }) {
    await load(lib);
    await load(patch);
    await observe.transitionEnd(patch);
    await probe(lib.alpha, { place: 'inside', postHandler: true });
    await observe.probeHit(lib.alpha);
    await observe.ftrace(lib.alpha);
    await disable(patch);
    await observe.transitionEnd(patch);
    await observe.probeHit(lib.alpha);
    await observe.ftrace(lib.alpha);
    await unprobe(lib);
    await observe.call(lib.alpha);
  },
});

// ---- ftrace switched off -----------------------------------------------------------------------------------------

export const switchedOff = scenario({
  id: 'ftrace-switched-off-under-a-patch',
  title: 'Switching ftrace off while a patch is enabled takes the patch out of force, is refused, or is not possible at all',
  clauses: ['FTR-5', 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks', 'function-tracer'],
  modules: [lib, patch],
  async run({ load, disable, ftraceEnabled, observe }) {
    await load(lib);
    await load(patch);
    await observe.transitionEnd(patch);
    await ftraceEnabled(false);
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
    await observe.sysfs(patch);
    await ftraceEnabled(true);
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
    await disable(patch);
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
  },
});

export const enabledWhileOff = scenario({
  id: 'enable-while-ftrace-is-off',
  title: 'A patch that is enabled while ftrace is switched off has no effect until it is on again, or cannot be enabled',
  clauses: ['FTR-5'],
  needs: ['livepatch', 'reliable-stacks', 'function-tracer'],
  modules: [lib, patch, beta],
  async run({ load, ftraceEnabled, observe }) {
    await load(lib);
    await ftraceEnabled(false);
    await load(patch);
    await observe.sysfs(patch);
    await observe.call(lib.alpha);
    await observe.threads();
    await ftraceEnabled(true);
    await observe.call(lib.alpha);
    await load(beta);
    await observe.transitionEnd(beta);
    await observe.call(lib.beta);
  },
});

// ---- tracers -----------------------------------------------------------------------------------------------------

export const tracedReplacement = scenario({
  id: 'traced-replacement',
  title: 'Either tracer records the calls that reach the replacement of the newest patch, and none once a newer patch has taken them',
  clauses: ['FTR-6', 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks', 'function-tracer', 'graph-tracer'],
  modules: [lib, patch, second],
  async run({ load, disable, trace, untrace, observe }) {
    await load(lib);
    await load(patch);
    await observe.transitionEnd(patch);
    await trace('function', replacementOf(patch, lib.alpha));
    await observe.traced(lib.alpha);
    await load(second);
    await observe.transitionEnd(second);
    await observe.traced(lib.alpha);
    await untrace();
    await trace('function_graph', replacementOf(second, lib.alpha));
    await observe.traced(lib.alpha);
    await disable(second);
    await observe.transitionEnd(second);
    await observe.traced(lib.alpha);
    await untrace();
    await trace('function_graph', replacementOf(patch, lib.alpha));
    await observe.traced(lib.alpha);
    await untrace();
    await observe.call(lib.alpha);
  },
});

/** Either order of patch and tracer: both do their work. */
function beside(id: string, title: string, tracer: 'function' | 'function_graph'): Scenario {
  return scenario({
    id,
    title,
    clauses: ['FTR-6', 'ENA-12', 'DIS-4'],
    needs: ['livepatch', 'reliable-stacks', tracer === 'function' ? 'function-tracer' : 'graph-tracer'],
    modules: [lib, patch, second],
    async run({ load, unload, disable, trace, untrace, observe }) {
      await load(lib);
      await trace(tracer, lib.alpha);
      await observe.traced(lib.alpha);
      await load(patch);
      await observe.transitionEnd(patch);
      await observe.traced(lib.alpha);
      await observe.ftrace(lib.alpha);
      await disable(patch);
      await observe.transitionEnd(patch);
      await observe.traced(lib.alpha);
      await observe.ftrace(lib.alpha);
      await untrace();
      // A disabled patch that stays registered would keep the second one out.
      await observe.references(patch);
      await unload(patch);

      await load(second);
      await observe.transitionEnd(second);
      await trace(tracer, lib.alpha);
      await observe.traced(lib.alpha);
      await observe.ftrace(lib.alpha);
      await untrace();
      await observe.call(lib.alpha);
      await observe.ftrace(lib.alpha);
    },
  });
}

export const functionTracer = beside(
  'function-tracer-beside-a-patch',
  'The function tracer and a patch have one function together, in either order',
  'function',
);

export const graphTracer = beside(
  'graph-tracer-beside-a-patch',
  'The function graph tracer and a patch have one function together, in either order',
  'function_graph',
);
