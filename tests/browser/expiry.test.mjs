// Both windows run out by the server's time, and the page says so by itself.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SCREENING, at, browser, picture, register, start, visitor } from './harness.mjs';

let running;
let chrome;
before(async () => {
  running = await start(['waiting_room.rooms.demo.rate_per_minute=60000', 'demo.hold_ms=5000', 'demo.pay_ms=5000']);
  chrome = await browser();
});
after(async () => {
  await chrome?.close();
  await running?.stop();
});

async function hold(options, seat) {
  const window = await visitor(chrome, options);
  const { page } = window;
  await page.goto(`${running.door}/login?next=/screenings/${SCREENING}/seats`);
  await register(page);
  await at(page, `seat-${seat}`).check();
  await at(page, 'hold-button').click();
  await at(page, 'hold').waitFor();
  return window;
}

for (const [how, options, seats] of [
  ['with JavaScript', {}, ['A1', 'A2']],
  ['without JavaScript', { javaScriptEnabled: false }, ['B1', 'B2']],
]) {
  test(`a hold that is not checked out in time is over, ${how}`, { timeout: 60_000 }, async () => {
    const { page, complaints } = await hold(options, seats[0]);
    await at(page, 'again').waitFor();
    await picture(page, `hold-over-${seats[0]}`);
    await at(page, 'again').click();
    await at(page, 'seat-map').waitFor();
    assert.equal(await at(page, `seat-${seats[0]}`).getAttribute('data-state'), 'free', 'free for others');
    assert.deepEqual(complaints, []);
  });

  test(`an order that is not paid in time is cancelled and says so, ${how}`, { timeout: 60_000 }, async () => {
    const { page, complaints } = await hold(options, seats[1]);
    await at(page, 'checkout-button').click();
    await at(page, 'pay-button').waitFor();
    await page.locator('[data-testid=order][data-state=released]').waitFor();
    assert.match(await at(page, 'reason').innerText(), /time|paid/i);
    await picture(page, `order-over-${seats[1]}`);
    assert.deepEqual(complaints, []);
  });
}
