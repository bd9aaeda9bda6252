// SPDX-License-Identifier: MIT
import type { Page, PageForm } from '../report/page.js';
import { pageHtml } from '../report/page-html.js';
import { pageMarkdown } from '../report/page-markdown.js';
import { pageText } from '../report/page-text.js';
import { painter } from '../report/paint.js';
import { display, plainDisplay } from './outputs.js';

/** A page in the form that was asked for. @param file where it goes; standard output otherwise, with colours where it has them */
export function formed(page: Page, form: PageForm, file: string | undefined): string {
  if (form === 'html') return pageHtml(page);
  if (form === 'markdown') return pageMarkdown(page);
  const shown = file === undefined ? display() : plainDisplay;
  return pageText(page, shown, painter(shown.colour));
}
