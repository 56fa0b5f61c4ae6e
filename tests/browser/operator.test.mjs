// The operator's page: live numbers, and a rate that visitors feel within a second.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SCREENING, at, barriers, browser, crowd, picture, start, visitor } from './harness.mjs';

let running;
let chrome;
before(async () => {
  running = await start(['waiting_room.rooms.demo.rate_per_minute=30', 'waiting_room.rooms.demo.burst=1']);
  chrome = await browser();
});
after(async () => {
  await chrome?.close();
  await running?.stop();
});

async function login(options) {
  const window = await visitor(chrome, options);
  await window.page.goto(`${running.operator}/`);
  await at(window.page, 'password').fill('wrong');
  await at(window.page, 'login-button').click();
  await at(window.page, 'form-error').waitFor();
  await at(window.page, 'password').fill(running.password);
  await at(window.page, 'login-button').click();
  await at(window.page, 'room-demo').waitFor();
  return window;
}

test('the operator sees the line grow and turns the rate', { timeout: 60_000 }, async () => {
  const operator = await login();
  await crowd(running.door, 40);
  const waits = operator.page.locator('[data-testid=room-demo] [data-testid=waiting]');
  await operator.page.waitForFunction(() => Number(document.querySelector('[data-testid=waiting]').innerText.replace(/\D/g, '')) > 20);
  assert.ok(await waits.isVisible());
  await operator.page.waitForTimeout(3_000);
  await picture(operator.page, 'operator');
  assert.deepEqual(await barriers(operator.page), []);

  const guest = await visitor(chrome);
  await guest.page.goto(`${running.door}/screenings/${SCREENING}/seats`);
  await at(guest.page, 'queue').waitFor();
  await at(operator.page, 'rate').fill('6000');
  await at(operator.page, 'apply').click();
  await at(guest.page, 'seat-map').waitFor({ timeout: 15_000 });
  assert.deepEqual([...operator.complaints, ...guest.complaints], []);
});

test('a pause with a message reaches the queue page, and the operator needs no JavaScript', { timeout: 60_000 }, async () => {
  const { page } = await login({ javaScriptEnabled: false });
  await at(page, 'message').fill('The projector is being mended. Back at eight.');
  await at(page, 'apply').click();
  await at(page, 'room-demo').waitFor();
  await at(page, 'toggle').click();
  await page.locator('[data-testid=room-demo][data-state=paused], [data-testid=state]:has-text("paused")').first().waitFor();
  const guest = await visitor(chrome);
  await guest.page.goto(`${running.door}/screenings/${SCREENING}/seats`);
  await at(guest.page, 'message').waitFor();
  assert.match(await at(guest.page, 'message').innerText(), /projector/);
  await picture(guest.page, 'queue-paused');
  assert.deepEqual(guest.complaints, []);
});

test('states are asked back about, and every control is there on a phone and in the dark', { timeout: 90_000 }, async () => {
  for (const options of [{ viewport: { width: 390, height: 844 } }, { colorScheme: 'dark' }]) {
    const { page, complaints } = await login(options);
    await at(page, 'ways').click();
    await at(page, 'plan').click();
    await at(page, 'ramp').fill('never');
    await at(page, 'apply').click();
    await page.waitForFunction(() => /ramp must be like/.test(document.querySelector('[data-testid=answer]').innerText));
    await at(page, 'ramp').fill('');
    await at(page, 'max-active').fill('700');
    page.once('dialog', (dialog) => dialog.dismiss());
    await at(page, 'sold_out').click();
    assert.notEqual(await at(page, 'state').innerText(), 'sold out');
    page.once('dialog', (dialog) => dialog.accept());
    await at(page, 'sold_out').click();
    await page.locator('[data-testid=room-demo][data-state=sold_out]').waitFor();
    assert.deepEqual(await barriers(page), []);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wider, 0, 'nothing stands out at the side');
    await picture(page, `operator-${options.colorScheme ?? 'phone'}`, { fullPage: true });
    await at(page, 'toggle').click();
    await page.locator('[data-testid=room-demo][data-state=open]').waitFor();
    assert.deepEqual(complaints, []);
  }
});
