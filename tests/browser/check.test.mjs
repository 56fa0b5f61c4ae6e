// The page that asks for a proof of work: with JavaScript it works and goes on by itself, without it says so honestly.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SCREENING, at, barriers, browser, picture, start, visitor } from './harness.mjs';

const SEATS = `/screenings/${SCREENING}/seats`;

let chrome;
let running;
before(async () => {
  chrome = await browser();
  running = await start(['waiting_room.rooms.demo.rate_per_minute=1', 'waiting_room.rooms.demo.proof_of_work.number_max=20000']);
});
after(async () => {
  await chrome?.close();
  await running?.stop();
});

describe('where work is asked for', () => {
  for (const phone of [false, true]) {
    test(`the page works, and then shows the place${phone ? ' on a phone in the dark' : ''}`, { timeout: 120_000 }, async () => {
      const options = phone ? { viewport: { width: 390, height: 844 }, isMobile: true, colorScheme: 'dark' } : {};
      const { page, context, complaints } = await visitor(chrome, options);
      // The sum is held up, so that the page can be looked at.
      let go;
      const held = new Promise((resolve) => { go = resolve; });
      await context.route('**/solve.js*', async (route) => { await held; await route.continue(); });
      await page.goto(`${running.door}${SEATS}`);
      await at(page, 'check').waitFor();
      assert.match(await page.locator('#lead').innerText(), /small sum/);
      assert.equal(await page.locator('progress').isVisible(), true);
      await picture(page, phone ? 'phone-check' : 'check');
      assert.deepEqual(await barriers(page), [], 'no barriers on the check');
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(over <= 0, `nothing sticks out: ${over}`);
      go();
      await page.waitForFunction(() => !document.querySelector('[data-testid="check"]'));
      assert.ok((await context.cookies()).some((cookie) => cookie.name === 'vestibule_ticket_demo'), 'there is a ticket');
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  test('without JavaScript it says what is needed, and nobody joins', { timeout: 60_000 }, async () => {
    const { page, context } = await visitor(chrome, { javaScriptEnabled: false });
    await page.goto(`${running.door}${SEATS}`);
    await at(page, 'check').waitFor();
    assert.match(await page.locator('noscript p').innerText(), /no JavaScript here.*not in line/);
    assert.equal(await page.locator('progress').isVisible(), false, 'nothing is under way');
    await picture(page, 'nojs-check');
    assert.deepEqual(await context.cookies(), []);
    await context.close();
  });
});
