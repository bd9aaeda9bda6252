// SPDX-License-Identifier: MIT
import { Command } from 'commander';
import { type Capability, type Finding, capabilityTexts } from '../model/capabilities.js';
import { clean } from '../report/text.js';
import { kernelFacts, staticFacts } from '../runner/probe.js';
import { type GuestOptions, withGuest } from './one-guest.js';
import { withKernelOptions } from './run.js';

/** `klp kernels probe K`: what the kernel can be asked, and what showed that. */
export function probeCommand(): Command {
  const command = new Command('probe')
    .description('what a kernel can be asked, found by looking at its files and in a guest')
    .argument('[kernel]', 'name in the catalogue')
    .option('--json', 'as JSON');
  withKernelOptions(command);
  return command.action((word: string | undefined, options: GuestOptions & { readonly json?: boolean }) =>
    withGuest(word, options, async (bench, kernel, { must = [] }) => {
      const { findings } = await kernelFacts(kernel, await staticFacts(kernel), bench);
      const { name, arch, release, version } = kernel;
      if (options.json === true) {
        const found = [...findings].map(([capability, finding]) => ({ capability, ...finding, promised: must.includes(capability) }));
        process.stdout.write(`${JSON.stringify({ kernel: name, arch, release, version, findings: found }, null, 2)}\n`);
        return;
      }
      process.stdout.write(`${clean(`${name}  ${release} (${version}), ${arch}`)}\n`);
      for (const line of table(findings, must)) process.stdout.write(`${line}\n`);
    }),
  );
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
