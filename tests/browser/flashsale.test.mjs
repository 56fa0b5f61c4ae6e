// The flash sale by hand: log in, choose, check out with a coupon, pay; with JavaScript, and without.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { at, barriers, browser, picture, register, start, visitor } from './harness.mjs';

let running;
let chrome;
before(async () => {
  running = await start(['waiting_room.rooms.demo.rate_per_minute=60000', 'waiting_room.rooms.demo.burst=100']);
  chrome = await browser();
});
after(async () => {
  await chrome?.close();
  await running?.stop();
});

async function buy(page, look) {
  await page.goto(`${running.door}/login?next=/flashsale`);
  await register(page);
  await at(page, 'product-poster').waitFor();
  await look('flashsale');
  await page.goto(`${running.door}/pilihproduk/poster`);
  await at(page, 'buy-button').waitFor();
  await look('product');
  await at(page, 'get-coupon').click();
  const code = await at(page, 'my-coupon').locator('code').innerText();
  assert.equal(await at(page, 'coupon').inputValue(), code, 'it stands in the form');
  await at(page, 'coupon').fill('NOTMYCODE0');
  await at(page, 'buy-button').click();
  await page.getByText('You have no coupon with this code').waitFor();
  await look('coupon-refused');
  await page.goto(`${running.door}/pilihproduk/poster`);
  assert.equal(await at(page, 'coupon').inputValue(), code, 'nothing was ordered: it is free');
  await at(page, 'coupon').fill(` ${code.toLowerCase()}`);
  await look('product-coupon');
  await at(page, 'buy-button').click();
  await at(page, 'pay-button').waitFor();
  assert.match(await at(page, 'subtotal').innerText(), /€25\.00/);
  assert.match(await at(page, 'discount').innerText(), /−€5\.00/);
  assert.match(await at(page, 'total').innerText(), /€20\.00/);
  await look('order-coupon');
  await at(page, 'pay-button').click();
  await at(page, 'approve').click();
  await at(page, 'ticket-qr').waitFor();
  await page.goto(`${running.door}/datapengguna`);
  assert.match(await at(page, 'payment').first().innerText(), /€20\.00/);
  await look('account');
}

test('a coupon at checkout, with JavaScript', { timeout: 90_000 }, async () => {
  const { page, complaints } = await visitor(chrome);
  await buy(page, async (name) => {
    await picture(page, name);
    assert.deepEqual(await barriers(page), [], `no barriers on ${name}`);
  });
  assert.deepEqual(complaints, []);
});

test('a coupon at checkout, without JavaScript, on a phone', { timeout: 90_000 }, async () => {
  const { page } = await visitor(chrome, { javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
  await buy(page, (name) => picture(page, `nojs-${name}`));
});
