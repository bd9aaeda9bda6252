// SPDX-License-Identifier: MIT
import { Command } from 'commander';
import { UsageError } from '../errors.js';
import { type Capability, type Finding, capabilityTexts } from '../model/capabilities.js';
import { clean } from '../report/text.js';
import { Bench } from '../runner/bench.js';
import { kernelFacts, staticFacts } from '../runner/probe.js';
import { parseAccel } from '../vm/accel.js';
import { interruptible } from './interrupt.js';
import { withKernelOptions } from './run.js';
import { say } from './say.js';
import { type KernelOptions, chooseKernels } from './select.js';

/** `klp kernels probe K`: what the kernel can be asked, and what showed that. */
export function probeCommand(): Command {
  const command = new Command('probe')
    .description('what a kernel can be asked, found by looking at its files and in a guest')
    .argument('[kernel]', 'name in the catalogue')
    .option('--json', 'as JSON');
  withKernelOptions(command);
  return command.action(async (word: string | undefined, options: KernelOptions & { readonly accel: string; readonly json?: boolean }) => {
    const [choice] = await chooseKernels({ ...options, ...(word === undefined ? {} : { kernel: [word] }) });
    if (!choice) throw new UsageError('no kernel chosen');
    const { signal, release } = interruptible();
    try {
      const kernel = await choice.acquire(say);
      await using bench = await Bench.start({ kernel, accel: parseAccel(options.accel), progress: say, signal });
      const { findings } = await kernelFacts(kernel, await staticFacts(kernel), bench);
      const must = choice.must ?? [];
      const { name, arch, release: version, version: source } = kernel;
      if (options.json === true) {
        const found = [...findings].map(([capability, finding]) => ({ capability, ...finding, promised: must.includes(capability) }));
        process.stdout.write(`${JSON.stringify({ kernel: name, arch, release: version, version: source, findings: found }, null, 2)}\n`);
        return;
      }
      process.stdout.write(`${clean(`${name}  ${version} (${source}), ${arch}`)}\n`);
      for (const line of table(findings, must)) process.stdout.write(`${line}\n`);
    } finally {
      release();
    }
  });
}

/** One line a capability; what is promised and not there stands out. */
function table(findings: ReadonlyMap<Capability, Finding>, must: readonly Capability[]): string[] {
  const absent = must.filter((c) => !findings.has(c));
  const rows = [...findings].map(([name, { has, evidence }]) => ({ name, has, evidence }));
  const all = [...rows, ...absent.map((name) => ({ name, has: false, evidence: 'livepatch is not built in' }))];
  const width = Math.max(...all.map(({ name }) => name.length));
  return all.map(({ name, has, evidence }) => {
    const word = has ? 'yes' : must.includes(name) ? 'NO ' : 'no ';
    const note = !has && must.includes(name) ? '  (the catalogue says that it has it)' : '';
    return clean(`  ${word}  ${name.padEnd(width)}  ${capabilityTexts[name]}: ${evidence}${note}`);
  });
}
