// From the film list to the QR code, with the queue really waited on: with JavaScript, and without.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SCREENING, at, barriers, browser, crowd, picture, register, setRoom, start, visitor } from './harness.mjs';

let running;
let chrome;
before(async () => {
  running = await start(['waiting_room.rooms.demo.rate_per_minute=60', 'waiting_room.rooms.demo.burst=1']);
  chrome = await browser();
});
after(async () => {
  await chrome?.close();
  await running?.stop();
});

async function accessible(page, name) {
  assert.deepEqual(await barriers(page), [], `no barriers on ${name}`);
}

describe('with JavaScript', () => {
  test('a visitor waits, is let in, picks A1 and A2, pays, and holds a ticket', { timeout: 120_000 }, async () => {
    const { page, complaints } = await visitor(chrome);
    await page.goto(`${running.door}/`);
    await picture(page, 'films');
    await accessible(page, 'films');
    await at(page, 'film-the-last-lighthouse').click();
    await picture(page, 'film');
    await accessible(page, 'film');
    await at(page, `screening-${SCREENING}`).click();
    await picture(page, 'screening');
    await accessible(page, 'screening');

    await crowd(running.door, 30);
    await at(page, 'buy').click();
    await at(page, 'queue').waitFor();
    const place = Number(await at(page, 'place').innerText().then((text) => text.replace(/\D/g, '')));
    assert.ok(place > 15, `a place behind the others: ${place}`);
    const first = await at(page, 'ahead').innerText();
    await page.waitForFunction((before) => document.querySelector('[data-testid=ahead]')?.innerText !== before, first);
    await picture(page, 'queue');
    await accessible(page, 'queue');
    await at(page, 'seat-map').waitFor({ timeout: 60_000 });
    assert.match(page.url(), /\/seats$/, 'the page went on by itself, to where the visitor wanted');

    await at(page, 'seat-A1').check();
    await at(page, 'seat-A2').check();
    await picture(page, 'seats');
    await accessible(page, 'seats');
    await at(page, 'hold-button').click();
    await register(page);
    await at(page, 'seat-map').waitFor();
    assert.ok(await at(page, 'seat-A1').isChecked(), 'straight back to the seats, and the pick is kept');
    await at(page, 'hold-button').click();
    await at(page, 'hold').waitFor();
    await picture(page, 'hold');
    await accessible(page, 'hold');
    await at(page, 'checkout-button').click();
    await at(page, 'pay-button').waitFor();
    await at(page, 'method-e_wallet').check();
    await picture(page, 'pay');
    await accessible(page, 'pay');
    await at(page, 'pay-button').click();
    await at(page, 'approve').waitFor();
    await picture(page, 'processor');
    await accessible(page, 'processor');
    await at(page, 'approve').click();
    await at(page, 'ticket-qr').waitFor();
    assert.match(await at(page, 'booked-lines').innerText(), /A1[\s\S]*A2/);
    await picture(page, 'ticket');
    await accessible(page, 'ticket');
    await page.goto(`${running.door}/bookings`);
    await at(page, 'booking').first().waitFor();
    await picture(page, 'bookings');
    await accessible(page, 'bookings');
    assert.deepEqual(complaints, []);
  });

  test('the seat map works by keyboard alone', { timeout: 60_000 }, async () => {
    await setRoom(running, { rate_per_minute: 60_000, burst: 100 });
    const { page, complaints } = await visitor(chrome);
    await page.goto(`${running.door}/screenings/${SCREENING}/seats`);
    await at(page, 'seat-map').waitFor();
    await at(page, 'seat-D5').focus();
    await page.keyboard.press('Space');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Space');
    assert.ok(await at(page, 'seat-D5').isChecked());
    assert.ok(await at(page, 'seat-D6').isChecked());
    await page.keyboard.press('ArrowDown');
    const focused = await page.evaluate(() => document.activeElement?.getAttribute('value'));
    assert.match(focused ?? '', /^E\d+$/, 'down goes to the next row');
    assert.deepEqual(complaints, []);
  });

  test('who picks a seat that has just gone is told which, and nothing is held', { timeout: 60_000 }, async () => {
    await setRoom(running, { rate_per_minute: 60_000, burst: 100 });
    const one = await visitor(chrome);
    const two = await visitor(chrome);
    // The map of the second one hears of nothing, as with a bad connection: otherwise it would give the seat up by itself.
    const news = (route) => (route.request().resourceType() === 'document' ? route.continue() : route.abort());
    await two.page.route(/\/seats$/, news);
    for (const { page } of [one, two]) {
      await page.goto(`${running.door}/login?next=/screenings/${SCREENING}/seats`);
      await register(page);
      await at(page, 'seat-map').waitFor();
    }
    await one.page.getByTestId('seat-F5').check();
    await two.page.getByTestId('seat-F5').check();
    await two.page.getByTestId('seat-F6').check();
    await one.page.getByTestId('hold-button').click();
    await at(one.page, 'hold').waitFor();
    assert.notEqual(await two.page.evaluate(() => document.getElementById('hall').dataset.live), 'stream');
    await two.page.getByTestId('hold-button').click();
    await at(two.page, 'conflict').waitFor();
    assert.match(await at(two.page, 'conflict').innerText(), /F5/);
    await picture(two.page, 'conflict');
    assert.deepEqual([...one.complaints, ...two.complaints], []);
  });
});

describe('on a phone, in the dark', () => {
  test('every page fits the screen', { timeout: 60_000 }, async () => {
    await setRoom(running, { rate_per_minute: 60_000, burst: 100 });
    const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: 'dark', deviceScaleFactor: 2 };
    const { page, complaints } = await visitor(chrome, phone);
    for (const [path, name] of [['/films', 'films'], ['/films/paper-cities', 'film'], [`/screenings/${SCREENING}/seats`, 'seats'],
      ['/flashsale', 'flashsale'], ['/products/poster', 'product'], ['/login', 'login'], ['/register', 'register'], ['/nowhere', 'error']]) {
      await page.goto(`${running.door}${path}`);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(over <= 0, `${path} is ${over} px too wide`);
      await picture(page, `phone-${name}`);
      await accessible(page, path);
    }
    assert.deepEqual(complaints, []);
  });
});

describe('without JavaScript', () => {
  test('the same way, from the queue to the ticket', { timeout: 120_000 }, async () => {
    await setRoom(running, { rate_per_minute: 60, burst: 1 });
    const { page } = await visitor(chrome, { javaScriptEnabled: false });
    await page.goto(`${running.door}/screenings/${SCREENING}`);
    await crowd(running.door, 12);
    await at(page, 'buy').click();
    await at(page, 'queue').waitFor();
    await picture(page, 'nojs-queue');
    await at(page, 'seat-map').waitFor({ timeout: 90_000 });
    await setRoom(running, { rate_per_minute: 60_000, burst: 100 });
    await at(page, 'seat-G7').check();
    await picture(page, 'nojs-seats');
    await at(page, 'hold-button').click();
    await register(page);
    await at(page, 'seat-map').waitFor();
    await at(page, 'hold-button').click();
    await at(page, 'checkout-button').click();
    await at(page, 'pay-button').click();
    await at(page, 'approve').click();
    await at(page, 'ticket-qr').waitFor();
    await picture(page, 'nojs-ticket');
  });
});
