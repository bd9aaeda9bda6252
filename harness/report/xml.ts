// SPDX-License-Identifier: MIT

/** What XML 1.0 has no place for, not even escaped: control characters, halves of surrogate pairs, U+FFFE and U+FFFF. */
const forbidden = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  // A parser would make a space of them, or of \r a line break.
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
};

/** Text for an element; what XML forbids becomes U+FFFD. */
export function xmlText(text: string): string {
  return text.replace(forbidden, '\ufffd').replace(/[&<>\r]/g, (c) => entities[c] ?? c);
}

/** One tag's attributes, each with a space before it; those that are undefined are left out. */
function attributes(of: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(of).filter(([, value]) => value !== undefined);
  return given.map(([name, value]) => ` ${name}="${String(value).replace(forbidden, '\ufffd').replace(/[&<>"\t\n\r]/g, (c) => entities[c] ?? c)}"`).join('');
}

/** An element that holds text as it is, or nothing. @param name, names of attributes: ours, never foreign */
export function xmlLeaf(name: string, of: Readonly<Record<string, string | number | undefined>>, text = ''): string {
  return text === '' ? `<${name}${attributes(of)}/>` : `<${name}${attributes(of)}>${xmlText(text)}</${name}>`;
}

/** An element that holds others, each on lines of its own. */
export function xmlTree(name: string, of: Readonly<Record<string, string | number | undefined>>, children: readonly string[]): string {
  return children.length === 0 ? `<${name}${attributes(of)}/>` : [`<${name}${attributes(of)}>`, ...children, `</${name}>`].join('\n');
}
