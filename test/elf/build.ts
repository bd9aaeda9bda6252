// SPDX-License-Identifier: MIT
import fc from 'fast-check';

// Relocatable objects for the properties, put together without the code under test.

export interface BuiltSection {
  readonly name: string;
  readonly type: number;
  readonly data: Uint8Array;
  /** Zero or junk bytes before the section. */
  readonly gap: Uint8Array;
  readonly flags?: bigint;
  readonly link?: number;
  readonly info?: number;
  readonly align?: number;
}

export interface BuiltSymbol {
  readonly name: string;
  readonly info: number;
  readonly shndx: number;
  readonly value: bigint;
}

export interface BuiltRelocation {
  readonly symbol: number;
  readonly type: number;
  readonly offset: bigint;
  readonly addend: bigint;
}

/**
 * Index 0 null, 1 .symtab, 2 .strtab, 3 .shstrtab, then the given sections.
 * @param tableFirst whether the section header table follows the ELF header, or ends the file
 */
export function buildObject(options: {
  machine?: number;
  sections?: readonly BuiltSection[];
  symbols?: readonly BuiltSymbol[];
  tableFirst?: boolean;
  trailer?: Uint8Array;
  /** Index of the first symbol that is not local. */
  locals?: number;
}): Uint8Array {
  const {
    machine = 62,
    sections = [],
    symbols = [],
    tableFirst = false,
    trailer = new Uint8Array(),
    locals = 1,
  } = options;
  const none = new Uint8Array();
  const strtab = names(symbols.map(({ name }) => name));
  const symtab = Buffer.alloc(24 * (symbols.length + 1));
  symbols.forEach(({ info, shndx, value }, i) => {
    const at = 24 * (i + 1);
    symtab.writeUInt32LE(strtab.offsets[i] ?? 0, at);
    symtab.writeUInt8(info, at + 4);
    symtab.writeUInt16LE(shndx, at + 6);
    symtab.writeBigUInt64LE(value, at + 8);
  });
  const own = ['.symtab', '.strtab', '.shstrtab'];
  const shstrtab = names([...own, ...sections.map(({ name }) => name)]);
  const all: BuiltSection[] = [
    { name: '', type: 0, data: none, gap: none },
    { name: '.symtab', type: 2, data: symtab, gap: none, link: 2, info: locals, align: 8 },
    { name: '.strtab', type: 3, data: strtab.data, gap: none },
    { name: '.shstrtab', type: 3, data: shstrtab.data, gap: none },
    ...sections,
  ];
  const table = Buffer.alloc(64 * all.length);
  const header = Buffer.alloc(64);
  const chunks: Uint8Array[] = [header];
  let end = 64;
  const put = (bytes: Uint8Array): number => {
    chunks.push(bytes);
    end += bytes.length;
    return end - bytes.length;
  };
  let shoff = tableFirst ? put(table) : 0;
  all.forEach((section, i) => {
    const at = 64 * i;
    put(section.gap);
    const inFile = section.type !== 0 && section.type !== 8;
    const offset = inFile ? put(section.data) : end;
    if (i > 0) table.writeUInt32LE(shstrtab.offsets[i - 1] ?? 0, at);
    table.writeUInt32LE(section.type, at + 4);
    table.writeBigUInt64LE(section.flags ?? 0n, at + 8);
    table.writeBigUInt64LE(BigInt(i === 0 ? 0 : offset), at + 24);
    table.writeBigUInt64LE(BigInt(section.data.length), at + 32);
    table.writeUInt32LE(section.link ?? 0, at + 40);
    table.writeUInt32LE(section.info ?? 0, at + 44);
    table.writeBigUInt64LE(BigInt(section.align ?? 1), at + 48);
    table.writeBigUInt64LE(section.type === 2 || section.type === 4 ? 24n : 0n, at + 56);
  });
  if (!tableFirst) shoff = put(table);
  put(trailer);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(1, 16);
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(shoff), 40);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(all.length, 60);
  header.writeUInt16LE(3, 62);
  return Buffer.concat(chunks);
}

function names(list: readonly string[]): { data: Buffer; offsets: number[] } {
  const offsets: number[] = [];
  let text = '\0';
  for (const name of list) {
    offsets.push(text.length);
    text += `${name}\0`;
  }
  return { data: Buffer.from(text, 'latin1'), offsets };
}

/** The bytes of a SHT_RELA section. */
export function rela(entries: readonly BuiltRelocation[]): Buffer {
  const data = Buffer.alloc(24 * entries.length);
  entries.forEach(({ symbol, type, offset, addend }, i) => {
    data.writeBigUInt64LE(offset, 24 * i);
    data.writeBigUInt64LE((BigInt(symbol) << 32n) | BigInt(type), 24 * i + 8);
    data.writeBigInt64LE(addend, 24 * i + 16);
  });
  return data;
}

/**
 * A small livepatch module by hand: 4 .modinfo, 5 .text, 6 .rela.text, 7 .data, 8 .rela.data, 9 .debug_info,
 * 10 .rela.debug_info; symbols 1 printk, 2 hidden, 3 hidden_too, 4 of_module (all undefined), 5 maybe (weak),
 * 6 replacement (defined).
 */
export function handmadeModule(livepatch = true): Uint8Array {
  const gap = new Uint8Array();
  const reference = (symbol: number, offset: bigint, type = 4, addend = -4n): BuiltRelocation => ({
    symbol,
    type,
    offset,
    addend,
  });
  const section = (name: string, type: number, data: Uint8Array, flags: bigint, info = 0): BuiltSection => ({
    name,
    type,
    data,
    gap,
    flags,
    info,
    link: type === 4 ? 1 : 0,
    align: type === 4 ? 8 : 1,
  });
  const text = new Uint8Array(64);
  const undefinedSymbol = (name: string, info = 0x10): BuiltSymbol => ({ name, info, shndx: 0, value: 0n });
  return buildObject({
    sections: [
      section(
        '.modinfo',
        1,
        Buffer.from(`license=GPL\0${livepatch ? 'livepatch=Y\0' : ''}\0depends=\0name=lp\0`),
        2n,
      ),
      section('.text', 1, text, 6n),
      section(
        '.rela.text',
        4,
        rela([
          reference(1, 1n),
          reference(2, 9n),
          reference(4, 17n),
          reference(3, 25n),
          reference(2, 33n),
          reference(6, 41n),
        ]),
        0x40n,
        5,
      ),
      section('.data', 1, new Uint8Array(16), 3n),
      section('.rela.data', 4, rela([reference(2, 0n, 1, 0n), reference(6, 8n, 1, 0n)]), 0x40n, 7),
      section('.debug_info', 1, new Uint8Array(16), 0n),
      section('.rela.debug_info', 4, rela([reference(2, 0n, 1, 0n)]), 0x40n, 9),
    ],
    symbols: [
      undefinedSymbol('printk'),
      undefinedSymbol('hidden'),
      undefinedSymbol('hidden_too'),
      undefinedSymbol('of_module'),
      undefinedSymbol('maybe', 0x20),
      { name: 'replacement', info: 0x12, shndx: 5, value: 0n },
    ],
  });
}

/**
 * A livepatch module by hand with which nothing is wrong, already in the formats of livepatch: 4 .modinfo, 5 .text, 6 .rela.text,
 * 7 .data, 8 .rodata.str, 9 .gnu.linkonce.this_module, 10 .klp.rela.vmlinux..text, 11 .klp.rela.m..text, 12 .klp.rela.vmlinux..data,
 * 13 .init.text; symbols 1 local, 2 hidden, 3 hidden_too and 4 of_module as livepatch symbols, 5 printk, 6 replacement. No
 * vermagic that says which kernel it is for.
 * @param livepatch without, it is an ordinary module: 10 to 12 are .init.text alone, symbols 2 to 4 are defined
 */
export function soundModule({ machine = 62, livepatch = true }: { machine?: number; livepatch?: boolean } = {}): Uint8Array {
  const gap = new Uint8Array();
  const x86 = machine === 62;
  // R_X86_64_PC32 and R_X86_64_64; R_AARCH64_CALL26 and R_AARCH64_ABS64.
  const [call, pointer, addend] = x86 ? [2, 1, -4n] : [283, 257, 0n];
  const section = (name: string, type: number, data: Uint8Array, flags: bigint, info = 0): BuiltSection => ({
    name, type, data, gap, flags, info, link: type === 4 ? 1 : 0, align: 8,
  }); // prettier-ignore
  const klp = 0x100042n;
  const at = (symbol: number, offset: bigint, type = call): BuiltRelocation => ({ symbol, type, offset, addend });
  return buildObject({
    machine,
    sections: [
      section('.modinfo', 1, Buffer.from(`license=GPL\0${livepatch ? 'livepatch=Y\0' : ''}depends=\0name=lp\0vermagic=any\0`), 2n),
      section('.text', 1, new Uint8Array(64), 6n),
      section('.rela.text', 4, rela([at(5, 0n), at(1, 8n)]), 0x40n, 5),
      section('.data', 1, new Uint8Array(64), 3n),
      section('.rodata.str', 1, Buffer.from('\0other\0m\0a_function\0'), 0x32n),
      section('.gnu.linkonce.this_module', 1, Buffer.from(`${'\0'.repeat(24)}lp${'\0'.repeat(102)}`), 3n),
      ...(livepatch
        ? [
            section('.klp.rela.vmlinux..text', 4, rela([at(2, 16n), at(3, 24n)]), klp, 5),
            section('.klp.rela.m..text', 4, rela([at(4, 32n)]), klp, 5),
            section('.klp.rela.vmlinux..data', 4, rela([at(2, 0n, pointer)]), klp, 7),
          ]
        : []),
      section('.init.text', 1, new Uint8Array(16), 6n),
    ],
    symbols: [
      { name: 'local', info: 0x02, shndx: 5, value: 0n },
      ...['.klp.sym.vmlinux.hidden,0', '.klp.sym.vmlinux.hidden_too,2', '.klp.sym.m.of_module,0'].map((name) =>
        livepatch ? { name, info: 0x10, shndx: 0xff20, value: 0n } : { name: 'defined', info: 0x10, shndx: 5, value: 0n },
      ),
      { name: 'printk', info: 0x10, shndx: 0, value: 0n },
      { name: 'replacement', info: 0x12, shndx: 5, value: 8n },
    ],
    locals: 2,
  });
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
/** Names as any tool might write them: bytes, but no NUL. */
const name = fc.string({
  unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 20,
});

const anySection: fc.Arbitrary<BuiltSection> = fc.record({
  name,
  type: fc.constantFrom(0, 1, 4, 7, 8, 9, 0x6fffff00),
  data: bytes(100),
  gap: fc.oneof(
    bytes(9),
    fc.nat(9).map((n) => new Uint8Array(n)),
  ),
  flags: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  link: fc.nat(),
  info: fc.nat(),
  align: fc.oneof(fc.constantFrom(0, 1, 8, 16, 4096), fc.nat({ max: Number.MAX_SAFE_INTEGER })),
});

const anySymbol: fc.Arbitrary<BuiltSymbol> = fc.record({
  name,
  info: fc.nat(255),
  shndx: fc.nat(0xffff),
  value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});

/**
 * Readable objects of every shape: junk between sections, the header table at either end, trailers, odd
 * fields.
 */
export const anyObject: fc.Arbitrary<Uint8Array> = fc
  .record({
    machine: fc.constantFrom(62, 183),
    sections: fc.array(anySection, { maxLength: 8 }),
    symbols: fc.array(anySymbol, { maxLength: 8 }),
    tableFirst: fc.boolean(),
    trailer: bytes(30),
  })
  .map(buildObject);
