// SPDX-License-Identifier: MIT
// Numbers of the ELF gABI (chapter 4, "Object Files") and of include/uapi/linux/elf.h, under their names
// there.

export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ET_REL = 1;

/** e_machine of the two supported architectures. */
export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;

export const SHT_NULL = 0;
export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_RELA = 4;
export const SHT_NOBITS = 8;
export const SHT_REL = 9;

export const SHF_WRITE = 0x1n;
export const SHF_ALLOC = 0x2n;
export const SHF_EXECINSTR = 0x4n;
export const SHF_INFO_LINK = 0x40n;
/** Marks a livepatch relocation section (module-elf-format.txt 2.2.1; include/uapi/linux/elf.h). */
export const SHF_RELA_LIVEPATCH = 0x00100000n;

export const SHN_UNDEF = 0;
export const SHN_LORESERVE = 0xff00;
/** Section index of a livepatch symbol (module-elf-format.txt 3.3.1; include/uapi/linux/elf.h). */
export const SHN_LIVEPATCH = 0xff20;
export const SHN_ABS = 0xfff1;
export const SHN_COMMON = 0xfff2;

export const STB_LOCAL = 0;
export const STB_GLOBAL = 1;
export const STB_WEAK = 2;

/** Sizes in bytes of the fixed structures Elf64_Ehdr, Elf64_Shdr, Elf64_Sym and Elf64_Rela. */
export const EHDR_SIZE = 64;
export const SHDR_SIZE = 64;
export const SYM_SIZE = 24;
export const RELA_SIZE = 24;
