// SPDX-License-Identifier: MIT

/*
 * Every difference between kernels that a rule or a scenario depends on, named once, with where its existence is seen. A
 * version number stands nowhere else in the model. Probes look at existence (a config option, a header's field, a symbol,
 * a file, a format string), never at the behaviour under test, so that a broken feature is a failure and not a missing
 * capability.
 */

/** What the probes look at; all of it is there before a livepatch is loaded. */
export interface ProbeFacts {
  /** `.config` of the kernel, as text. */
  readonly config: string;
  /** Headers of the build directory by path below include/, as text; '' for one that is not there. */
  readonly headers: Readonly<Record<ProbedHeader, string>>;
  /** What only a running guest shows; undefined as long as none has been asked. */
  readonly guest: GuestFacts | undefined;
}

export interface GuestFacts {
  /** Types (as of nm(1)) by name of vmlinux's symbols in /proc/kallsyms. */
  readonly symbols: ReadonlyMap<string, string>;
  /** Texts of the {@link probedFiles} that the guest has, by path. */
  readonly files: ReadonlyMap<string, string>;
  /** Which of the {@link probedStrings} the kernel's image has; undefined where the image could not be unpacked. */
  readonly strings: ReadonlySet<string> | undefined;
  /** Which of the {@link probedWords} a boolean parameter of the kernel takes; undefined where there was none to ask. */
  readonly words: ReadonlySet<string> | undefined;
}

/** First letters that kstrtobool() learned in time; the question is put to a file that has nothing to do with livepatch. */
export const probedWords = ['t', 'f', 'e', 'd'] as const;
/** The parameter of the kernel that is asked. */
export const booleanParameter = '/sys/module/printk/parameters/ignore_loglevel';

export const probedHeaders = ['linux/livepatch.h', 'linux/ftrace.h'] as const;
export type ProbedHeader = (typeof probedHeaders)[number];

const sigEnforce = '/sys/module/module/parameters/sig_enforce';
const lockdown = '/sys/kernel/security/lockdown';
/** Files of a guest that probes read. */
export const probedFiles = [sigEnforce, lockdown] as const;

const longNames = '.%511[^,],%lu';
const relocationsChecked = 'elocation target, existing value is nonzero';
const kprobeErrors = 'Failed to unregister kprobe-ftrace';
const findsSites = 'failed to find location for function';
const ftraceStaysOn = 'ftrace_enabled file is deprecated and no longer disables ftrace';
/** Texts that probes look for in the kernel's image. */
export const probedStrings = [longNames, relocationsChecked, findsSites, kprobeErrors, ftraceStaysOn] as const;

/** What one probe found. */
export interface Finding {
  readonly has: boolean;
  /** What was looked at and seen, for a person: `CONFIG_LIVEPATCH=y`, `no symbol force_kobj_attr`. */
  readonly evidence: string;
}

/** Undefined: only a guest can tell, and none has been asked. */
type Look = (facts: ProbeFacts) => Finding | undefined;

interface Row {
  /** What a kernel that has it can do, for a person. */
  readonly text: string;
  readonly look: Look;
  /** Looked at only on kernels with livepatch: the others' headers describe what is not built. */
  readonly ofLivepatch: boolean;
}

const set = (name: string): Look => ({ config }) => {
  const has = config.includes(`\nCONFIG_${name}=y\n`) || config.startsWith(`CONFIG_${name}=y\n`);
  return { has, evidence: `CONFIG_${name}${has ? '=y' : ' is not set'}` };
};

const not = (look: Look): Look => (facts) => {
  const found = look(facts);
  return found && { has: !found.has, evidence: found.evidence };
};

const any = (...looks: readonly Look[]): Look => (facts) => {
  const found = looks.map((look) => look(facts));
  const yes = found.find((f) => f?.has === true);
  if (yes) return yes;
  if (found.includes(undefined)) return undefined;
  return { has: false, evidence: found.map((f) => f?.evidence).join(', ') };
};

const declared = (what: RegExp, name: string, header: ProbedHeader = 'linux/livepatch.h'): Look => ({ headers }) => {
  const has = what.test(headers[header]);
  return { has, evidence: `${has ? '' : 'no '}${name} in ${header}` };
};

const symbol = (name: string, type = /./): Look => ({ guest }) => {
  if (!guest) return undefined;
  const seen = guest.symbols.get(name);
  if (seen === undefined) return { has: false, evidence: `no symbol ${name}` };
  return { has: type.test(seen), evidence: `symbol ${name} of type ${seen}` };
};

const file = (path: string, content: RegExp): Look => ({ guest }) => {
  if (!guest) return undefined;
  const text = guest.files.get(path)?.trim();
  if (text === undefined) return { has: false, evidence: `no ${path}` };
  return { has: content.test(text), evidence: `${path}: ${text}` };
};

const inImage = (text: string): Look => ({ guest }) => {
  if (!guest) return undefined;
  if (!guest.strings) return { has: false, evidence: `the image could not be searched for "${text}"` };
  const has = guest.strings.has(text);
  return { has, evidence: `${has ? '' : 'no '}"${text}" in the image` };
};

const takes = (...words: readonly string[]): Look => ({ guest }) => {
  if (!guest) return undefined;
  const { words: taken } = guest;
  if (!taken) return { has: false, evidence: `no ${booleanParameter}` };
  const has = words.every((word) => taken.has(word));
  return { has, evidence: `${booleanParameter} ${has ? 'takes' : 'refuses'} ${words.join(' and ')}` };
};

const livepatch = (text: string, look: Look): Row => ({ text, look, ofLivepatch: true });
const kernel = (text: string, look: Look): Row => ({ text, look, ofLivepatch: false });

const rows = {
  livepatch: kernel('livepatch is built in', set('LIVEPATCH')),
  'no-livepatch': kernel('livepatch is not built in', not(set('LIVEPATCH'))),
  'reliable-stacks': livepatch('sleeping tasks are switched by stack check', set('HAVE_RELIABLE_STACKTRACE')),
  'no-reliable-stacks': livepatch('the architecture or configuration has no reliable stack traces', not(set('HAVE_RELIABLE_STACKTRACE'))),
  registration: livepatch(
    'klp_register_patch() and its siblings: patches can be enabled again, in stack order (4.12 to 5.0)',
    declared(/\bklp_register_patch\b/, 'klp_register_patch()'),
  ),
  immediate: livepatch('the immediate flags of klp_patch and klp_func (4.12 to 4.15)', declared(/\bbool\s+immediate\b/, 'immediate')),
  replace: livepatch('atomic replace (5.1 and later)', declared(/\bbool\s+replace\b/, 'replace')),
  callbacks: livepatch('callbacks of objects (4.15 and later)', declared(/\bstruct\s+klp_callbacks\b/, 'struct klp_callbacks')),
  'shadow-variables': livepatch('shadow variables (4.15 and later)', declared(/\bklp_shadow_get\b/, 'klp_shadow_get()')),
  'shadow-constructors': livepatch(
    'constructors and destructors of shadow variables (4.18 and later)',
    declared(/\bklp_shadow_ctor_t\b/, 'klp_shadow_ctor_t'),
  ),
  states: livepatch('system states (5.5 and later)', declared(/\bstruct\s+klp_state\b/, 'struct klp_state')),
  'sysfs-signal': livepatch('a signal file beside enabled (4.16 to 5.0)', symbol('signal_kobj_attr')),
  'sysfs-force': livepatch('a force file beside enabled (4.16 and later)', symbol('force_kobj_attr')),
  'sysfs-replace': livepatch('a replace file beside enabled (6.11 and later)', symbol('replace_kobj_attr')),
  'sysfs-stack-order': livepatch('a stack_order file beside enabled (6.14 and later)', symbol('stack_order_kobj_attr')),
  'sysfs-patched': livepatch('a patched file in each object directory (6.1 and later)', symbol('patched_kobj_attr')),
  'fake-signals': livepatch(
    'tasks that hold a transition for long are sent a signal that user space does not see (5.1 and later)',
    symbol('klp_signals_cnt'),
  ),
  'switch-at-schedule': livepatch('tasks are switched when they give up the CPU too (6.3 and later)', symbol('__klp_sched_try_switch')),
  // klp_apply_section_relocs() came with the change that moved vmlinux relocations into load_module (5.8).
  'relocations-at-load': livepatch(
    'relocations of vmlinux are applied while the module loads, before its init (5.8 and later)',
    declared(/\bklp_apply_section_relocs\b/, 'klp_apply_section_relocs()'),
  ),
  // Elsewhere it is a weak function that does nothing.
  'relocations-cleared': livepatch(
    'relocations of an object are cleared when its module goes (x86-64, 6.3 and later)',
    symbol('clear_relocate_add', /[Tt]/),
  ),
  'relocations-checked': livepatch(
    'relocations are written over zeros only (x86-64)',
    inImage(relocationsChecked),
  ),
  'architecture-sections': livepatch('.klp.arch sections (4.12 to 5.7)', symbol('arch_klp_init_object_loaded')),
  'long-symbol-names': livepatch('symbol names of up to 511 characters in .klp.sym (6.1 and later)', inImage(longNames)),
  'permanent-ftrace': kernel(
    'ftrace knows operations that ftrace_enabled must not switch off (5.5 and later)',
    declared(/\bFTRACE_OPS_FL_PERMANENT\b/, 'FTRACE_OPS_FL_PERMANENT', 'linux/ftrace.h'),
  ),
  'ftrace-stays-on': kernel('ftrace_enabled cannot be switched off at all (7.x)', inImage(ftraceStaysOn)),
  'true-false': kernel('booleans may be written as t(rue) and f(alse), too (6.1 and later)', takes('t', 'f')),
  'enabled-disabled': kernel('booleans may be written as e(nabled) and d(isabled), too (7.x)', takes('e', 'd')),
  'ftrace-saves-registers': livepatch(
    'livepatch asks ftrace to save all registers',
    not(set('HAVE_DYNAMIC_FTRACE_WITH_ARGS')),
  ),
  'ftrace-finds-sites': livepatch(
    'a function is looked up among the sites of ftrace before it is patched (5.18 and later)',
    inImage(findsSites),
  ),
  'getpid-x64': kernel('getpid(2) is __x64_sys_getpid() (x86-64, 4.17 and later)', symbol('__x64_sys_getpid')),
  'getpid-arm64': kernel('getpid(2) is __arm64_sys_getpid() (arm64, 4.19 and later)', symbol('__arm64_sys_getpid')),
  'getpid-plain': kernel('getpid(2) is sys_getpid() (before system calls had wrappers)', symbol('sys_getpid')),
  kprobes: kernel('kprobes', set('KPROBES')),
  'kprobes-on-ftrace': kernel('a kprobe on an ftrace site uses ftrace', set('KPROBES_ON_FTRACE')),
  'kprobes-share-ftrace': kernel(
    'a kprobe without a post_handler shares a function with a patch (5.4 and later)',
    symbol('kprobe_ipmodify_ops'),
  ),
  'kprobes-report-errors': kernel('register_kprobe() says when ftrace refuses (4.16 and later)', inImage(kprobeErrors)),
  'function-tracer': kernel('the function tracer', set('FUNCTION_TRACER')),
  'unwinds-exceptions': livepatch('a stack with a fault or an interrupt of the kernel on it can be reliable (ORC)', set('UNWINDER_ORC')),
  'preempts-kernel': kernel(
    'a task can lose its CPU anywhere in the kernel, or can be had to (PREEMPT, PREEMPT_LAZY, PREEMPT_DYNAMIC)',
    any(set('PREEMPT_DYNAMIC'), set('PREEMPT'), set('PREEMPT_LAZY')),
  ),
  'finds-probed-returns': livepatch(
    'a return address that a kretprobe has replaced is found again for a stack trace (5.15 and later)',
    any(symbol('rethook_find_ret_addr'), symbol('kretprobe_find_ret_addr')),
  ),
  // The function that came with the change (5.16).
  'reasons-in-one-function': livepatch(
    'klp_try_switch_task() itself logs every reason why a task is not switched (5.16 and later)',
    symbol('klp_check_and_switch_task'),
  ),
  'graph-tracer': kernel('the function graph tracer', set('FUNCTION_GRAPH_TRACER')),
  'graph-operations': kernel('the graph tracer is an ftrace operation like others (5.17 and later)', symbol('ftrace_graph_func')),
  'dynamic-debug': kernel('debug messages can be switched on one by one', set('DYNAMIC_DEBUG')),
  'module-unload': kernel('modules can be unloaded', set('MODULE_UNLOAD')),
  'all-symbols': kernel('/proc/kallsyms has data and static symbols', set('KALLSYMS_ALL')),
  modversions: kernel('modules carry checksums of the symbols they use', set('MODVERSIONS')),
  'module-signatures': kernel('modules can be signed', set('MODULE_SIG')),
  'signatures-enforced': kernel(
    'modules without a valid signature are refused',
    any(set('MODULE_SIG_FORCE'), file(sigEnforce, /^Y$/), file(lockdown, /\[(integrity|confidentiality)\]/)),
  ),
  'locked-down': kernel('the kernel is locked down', file(lockdown, /\[(integrity|confidentiality)\]/)),
  kasan: kernel('built with KASAN', set('KASAN')),
  lockdep: kernel('built with lockdep', set('LOCKDEP')),
  kcov: kernel('built with KCOV', set('KCOV')),
} satisfies Readonly<Record<string, Row>>;

export type Capability = keyof typeof rows;

/** All capabilities, in the order a person reads them. */
export const capabilities = Object.keys(rows) as readonly Capability[];

/** What each means, for a person. */
export const capabilityTexts = Object.fromEntries(
  capabilities.map((name) => [name, rows[name].text]),
) as Readonly<Record<Capability, string>>;

/**
 * What each probe found.
 * @returns by capability; one that only a guest can tell is left out as long as there is none, and so is what belongs to
 *   livepatch on a kernel without it
 */
export function probe(facts: ProbeFacts): ReadonlyMap<Capability, Finding> {
  const found = new Map<Capability, Finding>();
  const livepatches = rows.livepatch.look(facts)?.has === true;
  for (const name of capabilities) {
    const row: Row = rows[name];
    const finding = row.ofLivepatch && !livepatches ? undefined : row.look(facts);
    if (finding) found.set(name, finding);
  }
  return found;
}

/** The capabilities that were found to be there. */
export function present(findings: ReadonlyMap<Capability, Finding>): ReadonlySet<Capability> {
  return new Set([...findings].filter(([, { has }]) => has).map(([name]) => name));
}

/** Those that a guest has to be asked for, on the kernel of these facts. */
export function onlyInGuest(facts: ProbeFacts): ReadonlySet<Capability> {
  const without = probe({ ...facts, guest: undefined });
  const all = probe({ ...facts, guest: { symbols: new Map(), files: new Map(), strings: new Set(), words: new Set() } });
  return new Set([...all.keys()].filter((name) => !without.has(name)));
}
