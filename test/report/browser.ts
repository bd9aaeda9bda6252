// SPDX-License-Identifier: MIT
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, type Page, chromium } from 'playwright-core';

/** Debian's chromium, which `make test` installs. */
function executable(): string {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, 'chromium');
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  throw new Error('there is no chromium on the PATH; apt-get install chromium, or make test, which does');
}

// No crash reporter, no service of the maker's, no GPU.
const quiet = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** Pages in files, opened from the disk in a browser that reaches nothing else. */
export class Pages {
  readonly #folder = mkdtempSync(join(tmpdir(), 'klp-html-'));
  /** What went wrong in any page: errors of its script, requests for anything but the file. */
  readonly problems: string[] = [];

  private constructor(private readonly browser: Browser) {}

  static async start(): Promise<Pages> {
    return new Pages(await chromium.launch({ executablePath: executable(), args: quiet }));
  }

  /** Writes a page. @returns its address */
  write(name: string, text: string): string {
    const file = join(this.#folder, name);
    writeFileSync(file, text);
    return pathToFileURL(file).href;
  }

  /** Opens an address, and waits until the page's script has run. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
    const page = await context.newPage();
    page.on('pageerror', (error) => this.problems.push(String(error)));
    page.on('console', (message) => this.problems.push(message.text()));
    page.on('dialog', (dialog) => {
      this.problems.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      if (!request.url().startsWith('file:') && !request.url().startsWith('data:')) this.problems.push(request.url());
    });
    await page.goto(url);
    await page.waitForSelector('html[data-ready]');
    return page;
  }

  async stop(): Promise<void> {
    await this.browser.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds against WCAG 2.2 AA and its best practices: rule and elements, as text. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found: unknown = await page.evaluate(
    '(async () => (await axe.run(document)).violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(" | ")}`))()',
  );
  return found as string[];
}

/** Whether the page itself, not a region in it, is wider than the window. */
export async function scrollsSideways(page: Page): Promise<boolean> {
  return page.evaluate<boolean>('document.documentElement.scrollWidth > document.documentElement.clientWidth');
}
