// SPDX-License-Identifier: MIT
import type { Page } from 'playwright-core';
import t from 'tap';
import { Pages, scrollsSideways, violations } from './browser.js';
import { kernelNames, largeRun, pageOf, variedRun } from './html-run.js';

const hostile = `</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\0 \u202egnp.exe ${'y'.repeat(5000)}`;

const pages = await Pages.start();
const url = pages.write('report.html', pageOf(variedRun()));
t.teardown(() => pages.stop());

/** Clauses that the matrix shows. */
const shown = (page: Page): Promise<string[]> => page.locator('#matrix tr[data-clause]:visible th a').allTextContents();
const hash = (page: Page): string => decodeURIComponent(new URL(page.url()).hash);
const focused = (page: Page): Promise<unknown> => page.evaluate('(document.activeElement.textContent ?? "").trim()');

void t.test('filters work together, stand in the address, and the counts follow', async (t) => {
  const page = await pages.open(url);
  t.equal((await shown(page)).length, 6);
  t.equal(await page.locator('.shown').textContent(), '6 of 6 clauses, 18 results');
  await page.getByRole('checkbox', { name: 'fail' }).check();
  t.same(await shown(page), ['REG-5', 'ENA-3']);
  t.match(hash(page), /verdict=fail/);
  t.equal(await page.locator('.shown').textContent(), '2 of 6 clauses, 2 results');
  await page.getByRole('combobox', { name: 'Section' }).selectOption('registration');
  t.same(await shown(page), ['REG-5']);
  t.equal(await page.locator('output[data-count=pass]').textContent(), '2', 'the other kernels of that section');
  await page.getByRole('combobox', { name: 'Kernel' }).selectOption('next');
  t.same(await shown(page), []);
  t.equal(await page.locator('.shown').textContent(), 'No clause matches.');
  t.match(hash(page), /verdict=fail&section=registration&kernel=next/);
  await page.reload();
  t.same(await shown(page), [], 'the same after a reload');
  t.equal(await page.getByRole('checkbox', { name: 'fail' }).isChecked(), true);
  await page.getByRole('button', { name: 'Show all' }).click();
  t.equal((await shown(page)).length, 6);
  await page.getByRole('searchbox', { name: 'Text' }).fill('title of holds');
  t.same(await shown(page), ['TRN-5'], 'a scenario is found by its title');
  await page.getByRole('searchbox', { name: 'Text' }).fill('');
  await page.getByRole('checkbox', { name: 'flaky only' }).check();
  t.same(await shown(page), ['SYS-1']);
  await page.getByRole('checkbox', { name: 'flaky only' }).uncheck();
  await page.getByRole('combobox', { name: 'Kernel' }).selectOption('next');
  t.equal(await page.locator('#matrix thead th:visible').count(), 2, 'one kernel has one column');
  await page.context().close();
});

void t.test('new failures are told from expected ones', async (t) => {
  const page = await pages.open(`${url}#?verdict=fail&only=new`);
  // Whether a clause was expected to fail is the scenario's: its expectation holds for the whole of it.
  t.same(await shown(page), ['ENA-3']);
  await page.context().close();
});

void t.test('addresses lead to a clause, a kernel, a clause on a kernel and a scenario on it', async (t) => {
  for (const [address, title, text] of [
    ['#ENA-3', 'ENA-3', /enabled.*livepatch\.rst/s],
    ['#vendor-4.14', 'vendor-4.14', /Linux version 6\.1\.1/],
    ['#stock/ENA-3', 'ENA-3 on stock', /npx klp run fails --kernel stock.*the kernel said so/s],
    ['#stock/fails', 'fails on stock', /livepatch: one line/],
  ] as const) {
    const page = await pages.open(`${url}${address}`);
    t.equal(await page.locator('#detail h2').textContent(), title);
    t.match(await page.locator('#detail').textContent(), text);
    await page.context().close();
  }
  const page = await pages.open(`${url}#nowhere/at-all`);
  t.equal(await page.locator('#detail').isVisible(), false);
  await page.context().close();
});

void t.test('what the model allowed, what was seen, and how to repeat it', async (t) => {
  const page = await pages.open(`${url}#stock/ENA-3`);
  const detail = page.locator('#detail');
  t.match(await detail.locator('.step-judgement.own').textContent(), /Model allows.*1 — which was not seen.*Seen.*the kernel said so.*Documents.*forbid it \(livepatch\.txt:393\)/s);
  t.equal(await detail.locator('.repeat code').textContent(), 'npx klp run fails --kernel stock');
  t.match(await detail.locator('.others').textContent(), /pass vendor-4\.14/);
  await page.goto(`${url}#stock/REG-5`);
  t.match(await detail.textContent(), /Expected: bug 4711/);
  await page.context().close();
});

void t.test('the keyboard alone is enough', async (t) => {
  const page = await pages.open(url);
  await page.locator('.scroll').focus();
  await page.keyboard.press('Tab');
  t.equal(await page.evaluate('document.activeElement.cellIndex'), 1, 'the table is one stop: its first cell');
  const first = page.locator('#matrix tr[data-clause] td').first();
  await first.focus();
  await page.keyboard.press('ArrowRight');
  t.equal(await page.evaluate('document.activeElement.cellIndex'), 2);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Home');
  t.equal(await focused(page), (await shown(page))[1]);
  await page.keyboard.press('End');
  t.equal(await page.evaluate('document.activeElement.cellIndex'), kernelNames.length);
  await page.keyboard.press('Control+End');
  await page.keyboard.press('Control+Home');
  t.equal(await focused(page), (await shown(page))[0]);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowUp');
  t.equal(await focused(page), kernelNames[0], 'the head of a column');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#detail h2');
  t.equal(await focused(page), `${(await shown(page))[0] ?? ''} on stock`, 'the details take the focus');
  await page.keyboard.press('Escape');
  t.equal(await page.locator('#detail').isVisible(), false);
  t.equal(await page.evaluate('document.activeElement.cellIndex'), 1, 'and give it back');
  await page.keyboard.press('/');
  t.equal(await page.evaluate('document.activeElement.name'), 'text');
  await page.context().close();
});

void t.test('back and forth in the history', async (t) => {
  const page = await pages.open(url);
  await page.locator('#matrix td').first().click();
  await page.locator('#detail a[href^="#"]').first().click();
  t.equal(await page.locator('#detail h2').isVisible(), true);
  await page.goBack();
  await page.goBack();
  t.equal(await page.locator('#detail').isVisible(), false);
  await page.goForward();
  t.equal(await page.locator('#detail').isVisible(), true);
  await page.context().close();
});

void t.test('a held transition is drawn, and told in words', async (t) => {
  const page = await pages.open(`${url}#stock/TRN-5`);
  const picture = page.getByRole('img', { name: /holds on stock: 3 rows over 2\.3 s/ });
  t.equal(await picture.isVisible(), true);
  // Each name is followed by its tooltip.
  t.same((await picture.locator('text.name').allTextContents()).map((n) => /^(klp_alpha\/transition|124 klp-sleeper|3 threads)/.exec(n)?.[1]), ['klp_alpha/transition', '124 klp-sleeper', '3 threads']);
  t.equal(await picture.locator('.reading').count(), 6);
  t.equal(await picture.locator('.witness').count(), 1, 'it was seen asleep');
  t.equal(await picture.locator('.number').count(), 2, 'two operations');
  const old = await picture.locator('.reading.value0').nth(1).boundingBox();
  const done = await picture.locator('.reading.valuem1').first().boundingBox();
  t.ok(old && done && old.x < done.x && old.y === done.y, 'time goes to the right');
  const words = page.getByText('The picture in words');
  await words.click();
  t.match(await page.locator('.words').textContent(), /thread 124 klp-sleeper: 0 from 200 ms, -1 from 2\.3 s/);
  await page.getByText('Blocked threads and other witnesses (1)').click();
  t.match(await page.locator('.timeline pre').textContent(), /sleep_here.*klp_target_alpha/s);
  await page.context().close();
});

for (const colorScheme of ['light', 'dark'] as const) {
  void t.test(`${colorScheme}: axe-core finds nothing`, async (t) => {
    for (const address of ['', '#stock/ENA-3', '#stock/TRN-5', '#ENA-13', '#stock']) {
      const page = await pages.open(`${url}${address}`, { colorScheme });
      for (let level = 0; level < 3; level += 1) await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })");
      await page.waitForTimeout(50);
      t.same(await violations(page), [], address);
      await page.context().close();
    }
    const ground = await (await pages.open(url, { colorScheme })).evaluate('getComputedStyle(document.body).backgroundColor');
    t.equal(ground, colorScheme === 'dark' ? 'rgb(20, 22, 26)' : 'rgb(255, 255, 255)');
  });
}

void t.test('on a phone the page does not scroll sideways', async (t) => {
  for (const viewport of [{ width: 320, height: 640 }, { width: 390, height: 844 }]) {
    for (const address of ['', '#stock/ENA-3', '#stock/TRN-5', '#vendor-4.14']) {
      const page = await pages.open(`${url}${address}`, { viewport });
      await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })");
      t.equal(await scrollsSideways(page), false, `${viewport.width} ${address}`);
      const wide: unknown = await page.evaluate('(() => { const d = document.querySelector("#detail"); return d.scrollWidth > d.clientWidth; })()');
      t.equal(wide, false, `details, ${viewport.width} ${address}`);
      t.same(await violations(page), [], `${viewport.width} ${address}`);
      await page.context().close();
    }
  }
});

void t.test('hostile text stays text', async (t) => {
  const page = await pages.open(`${pages.write('hostile.html', pageOf(variedRun(hostile)))}#stock/fails`);
  await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })");
  await page.waitForTimeout(50);
  t.equal(await page.locator('img, script').count(), 2, 'the two scripts of the page');
  const text = (await page.locator('body').textContent()) ?? '';
  t.match(text, /<\/script><script>alert\(1\)<\/script><img src=x onerror=alert\(2\)>\\u\{1b\}\[31m\\u\{0\} \\u\{202e\}gnp\.exe/);
  t.match(text, /cut: 5\d\d\d characters/);
  t.equal(await scrollsSideways(page), false);
  await page.context().close();
});

void t.test('what did not pass is printed in full', async (t) => {
  const page = await pages.open(url);
  const pdf = await page.pdf({ format: 'A4' });
  t.equal(pdf.subarray(0, 5).toString(), '%PDF-');
  await page.evaluate("dispatchEvent(new Event('beforeprint'))");
  await page.emulateMedia({ media: 'print' });
  t.match(await page.locator('#print-details').textContent(), /REG-5 on stock.*ENA-3 on stock.*the kernel said so/s);
  t.equal(await page.locator('.filters').isVisible(), false);
  await page.evaluate("dispatchEvent(new Event('afterprint'))");
  t.equal(await page.locator('#print-details').textContent(), '');
  await page.context().close();
});

void t.test('50 kernels × 250 clauses open, filter and show a cell', async (t) => {
  const large = pages.write('large.html', pageOf(largeRun(50, 250)));
  const begun = performance.now();
  const page = await pages.open(large);
  t.comment(`opened in ${((performance.now() - begun) / 1000).toFixed(2)} s`);
  t.equal(await page.locator('#matrix td').count(), 12_500);
  await page.getByRole('checkbox', { name: 'fail' }).check();
  const failing = await page.locator('output[data-count=fail]').textContent();
  t.match(await page.locator('.shown').textContent(), new RegExp(`, ${failing ?? ''} results`));
  await page.locator('#matrix td.v-fail:visible').first().click();
  t.match(await page.locator('#detail').textContent(), /line 59 of what kernel-/);
  t.equal(await scrollsSideways(page), false);
  await page.context().close();
});

void t.test('no page had an error, asked a question or asked for anything but itself', (t) => {
  t.same(pages.problems, []);
  t.end();
});
