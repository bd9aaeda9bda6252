// SPDX-License-Identifier: MIT
import type { KernelResult, Results } from '../results-schema.js';
import { countsText, isBad } from '../summary.js';
import { duration, plural } from '../text.js';
import type { Page } from './data.js';
import { cutLines, escaped } from './pool.js';

type Fact = readonly [name: string, html: string];

/** The page's head: how the run ended, what it was, and each kernel with what is needed to have it again. */
export function headOf({ results, runs, kernels }: Page): string[] {
  const { counts, host } = results;
  const [mark, words] = ending(results);
  const facts: Fact[] = [
    [runs.length === 1 ? 'Run' : 'Runs', runs.map((r) => `<code>${escaped(r)}</code>`).join(', ')],
    ['Began', `<time datetime="${escaped(results.started)}">${escaped(results.started.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'))}</time>, took ${duration(results.durationMs)}`],
    ['Clauses', escaped(countsText(counts.clauses))],
    ['Scenarios', `${escaped(countsText(counts.scenarios))}${counts.expected > 0 ? `; ${counts.expected} expected` : ''}${counts.flaky > 0 ? `; ${counts.flaky} flaky` : ''}`],
    ['Judged by', `klp ${escaped(results.harness)}, clause catalogue ${results.catalogue}, profile ${results.profile}${results.strict ? ', strict' : ''}`],
    ['QEMU', escaped([...new Set(kernels.flatMap((k) => k.booted?.qemu ?? []))].join('; ') || 'none was started')],
    ['Host', host ? `${escaped(host.system)}, ${plural(host.cpus, 'CPU')}, ${host.memoryMiB} MiB, Node ${escaped(host.node)}` : 'unknown'],
    ...(results.shard ? [['Shard', `${results.shard.index} of ${results.shard.count}`] as const] : []),
    ...(results.merged ? [['Merged from', results.merged.map((m) => `shard ${m.shard}: <code>${escaped(m.run)}</code> on ${escaped(m.host.system)}`).join('<br>')] as const] : []),
    ['Command', commandOf(results.command.join(' '))],
  ];
  return [
    '<header>',
    `<p class="product">klp <span>livepatch conformance</span></p>`,
    `<h1 class="ending ${mark}">${words}</h1>`,
    `<dl class="facts">${facts.map(([name, html]) => `<div><dt>${name}</dt><dd>${html}</dd></div>`).join('')}</dl>`,
    `<details class="kernels"><summary><h2>Kernels <span class="count">${kernels.length}</span></h2></summary>`,
    ...kernels.map((k) => kernelCard(k, results)),
    '</details>',
    '</header>',
  ];
}

/** What is long is folded away. */
function commandOf(command: string): string {
  const code = `<code>${escaped(command)}</code>`;
  return command.length <= 100 ? code : `<details><summary><code>${escaped(command.slice(0, 60))}…</code></summary>${code}</details>`;
}

/** How the run ended; the words agree with its exit status. */
function ending(results: Results): readonly [mark: string, words: string] {
  const bad = results.scenarios.filter((s) => isBad(s.verdict, results.strict) && s.expected === undefined);
  const fails = bad.filter((s) => s.verdict !== 'error').length;
  if (!results.finished) return ['bad', 'The run did not finish'];
  if (results.interrupted) return ['bad', 'The run was interrupted'];
  if ((results.missing?.length ?? 0) > 0) return ['bad', 'Shards are missing'];
  if (results.exit === 1) {
    const errors = bad.length - fails;
    const unjudged = errors > 0 ? `, ${errors} could not be judged` : '';
    return ['bad', `${plural(fails, 'scenario')} not as expected${unjudged}`];
  }
  if (results.exit === 3) return ['bad', bad.length > 0 ? `${plural(bad.length, 'scenario')} could not be judged` : 'Nothing was judged'];
  return ['good', 'As expected'];
}

function kernelCard({ kernel, acquired, booted, probed, failure }: KernelResult, results: Results): string {
  const own = results.clauses.filter((c) => c.kernel === kernel).length;
  const about = [acquired?.release, acquired?.arch, booted?.accel].filter((w) => w !== undefined).map((w) => escaped(w));
  const list = (items: readonly string[]): string => `<ul class="plain">${items.map((i) => `<li>${i}</li>`).join('')}</ul>`;
  const packages = [...(acquired?.packages ?? []), ...(acquired?.toolchainPackages ?? [])];
  const findings = (probed?.findings ?? []).map((f) => `${f.has ? 'has' : 'lacks'} <b>${escaped(f.capability)}</b>: ${escaped(f.evidence)}`);
  const facts: Fact[] = [
    ...(failure ? [['Failed', `${escaped(failure.kind)}: ${escaped(failure.message)}${failure.details ? `<pre>${cutLines(failure.details, 60).map(escaped).join('\n')}</pre>` : ''}`] as const] : []),
    ...(acquired
      ? ([
          ['Version', `<code>${escaped(acquired.version)}</code> (${acquired.origin})`],
          ['Fingerprint', `<code class="hash">${escaped(acquired.fingerprint)}</code>`],
          ['Toolchain', escaped(acquired.toolchain)],
        ] satisfies Fact[])
      : []),
    ...(booted
      ? ([
          ['QEMU', `${escaped(booted.qemu)}, ${escaped(booted.accel)}${booted.machine === undefined ? '' : `, machine ${escaped(booted.machine)}`}; ${booted.restored === true ? 'restored' : 'booted'} in ${duration(booted.bootMs)}`],
          ['Command line', `<code>${escaped(booted.commandLine)}</code>`],
          ['Capabilities', booted.capabilities.map((c) => `<code>${escaped(c)}</code>`).join(' ') || 'none'],
        ] satisfies Fact[])
      : []),
  ];
  const folded = [
    ...(findings.length > 0 ? [`<details><summary>What showed them (${findings.length})</summary>${list(findings)}</details>`] : []),
    ...(packages.length > 0 ? [`<details><summary>Packages and hashes (${packages.length})</summary>${list(packages.map((p) => `${escaped(p.name)} ${escaped(p.version)} <code class="hash">${escaped(p.sha256)}</code>`))}</details>`] : []),
    ...(booted ? [`<details><summary>QEMU’s command line</summary><pre>${escaped(booted.argv.join(' '))}</pre></details>`] : []),
  ];
  return [
    `<article class="kernel" data-kernel="${escaped(kernel)}"><h3>${escaped(kernel)}</h3><p>${about.join(', ')}${about.length > 0 ? '; ' : ''}${plural(own, 'clause')} judged</p>`,
    `<dl class="facts">${facts.map(([name, html]) => `<div><dt>${name}</dt><dd>${html}</dd></div>`).join('')}</dl>`,
    ...folded,
    '</article>',
  ].join('\n');
}
