// Access codes, going on with another device, and leaving: with JavaScript, and without.
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SCREENING, at, barriers, browser, crowd, picture, setRoom, start, visitor } from './harness.mjs';

const SEATS = `/screenings/${SCREENING}/seats`;
const codes = join(mkdtempSync(join(tmpdir(), 'vestibule-codes-')), 'codes.txt');
writeFileSync(codes, '7KQM-2D4X-9RTB\nAAAA-BBBB-CCCC\n');

let chrome;
let open;
let closed;
before(async () => {
  chrome = await browser();
  open = await start(['waiting_room.rooms.demo.rate_per_minute=1', `waiting_room.rooms.demo.access_codes=${codes}`]);
  closed = await start(['waiting_room.rooms.demo.rate_per_minute=1', `waiting_room.rooms.demo.access_codes=${codes}`,
    'waiting_room.rooms.demo.access=required']);
});
after(async () => {
  await chrome?.close();
  await open?.stop();
  await closed?.stop();
});

async function looked(page, name) {
  await picture(page, name);
  assert.deepEqual(await barriers(page), [], `no barriers on ${name}`);
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? '' : 'nojs-';
  // Without scripts axe cannot look either.
  const look = javaScriptEnabled ? looked : picture;

  describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test('a place goes on with a phone, and the first device is told', { timeout: 120_000 }, async () => {
      await crowd(open.door, 4);
      const desk = await visitor(chrome, { javaScriptEnabled });
      await desk.page.goto(`${open.door}${SEATS}`);
      await at(desk.page, 'queue').waitFor();
      await look(desk.page, `${how}queue-with-codes`);
      const place = await at(desk.page, 'place').innerText();
      await at(desk.page, 'other-device').click();
      await at(desk.page, 'qr').waitFor();
      await look(desk.page, `${how}device`);
      const code = await at(desk.page, 'resume-code').innerText();
      const address = await desk.page.locator('code').first().innerText();

      const phone = await visitor(chrome, { javaScriptEnabled, viewport: { width: 390, height: 844 }, isMobile: true, colorScheme: 'dark' });
      await phone.page.goto(`http://${address}`);
      await at(phone.page, 'code').fill('AAAA AAAA AAAA');
      await at(phone.page, 'resume-button').click();
      await at(phone.page, 'error').waitFor();
      await look(phone.page, `${how}phone-resume-wrong`);
      await phone.page.goto(`http://${address}?code=${code}`);
      await look(phone.page, `${how}phone-resume`);
      const over = await phone.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(over <= 0, `${over} px too wide`);
      await at(phone.page, 'resume-button').click();
      await at(phone.page, 'queue').waitFor();
      assert.equal(await at(phone.page, 'place').innerText(), place);
      assert.ok(!phone.page.url().includes(code), 'the code is not kept in the address');

      await at(desk.page, 'moved').waitFor({ timeout: 30_000 });
      await look(desk.page, `${how}moved`);
      await desk.page.goto(`${open.door}${SEATS}`);
      await at(desk.page, 'moved').waitFor();
      await at(desk.page, 'forget').click();
      await at(desk.page, 'notice').waitFor();
      await at(phone.page, 'queue').waitFor();

      // Leaving asks first.
      if (javaScriptEnabled) {
        phone.page.once('dialog', (dialog) => dialog.dismiss());
        await at(phone.page, 'leave').click();
        await at(phone.page, 'queue').waitFor();
        phone.page.once('dialog', (dialog) => dialog.accept());
        await at(phone.page, 'leave').click();
        await phone.page.waitForURL(/\/films|\/$/);
      } else {
        await at(phone.page, 'leave').click();
        await at(phone.page, 'stay').click();
        await at(phone.page, 'queue').waitFor();
        await at(phone.page, 'leave').click();
        await picture(phone.page, 'nojs-phone-leaving');
        await at(phone.page, 'really-leave').click();
        await at(phone.page, 'notice').waitFor();
      }
      const cookies = await phone.context.cookies();
      assert.ok(!cookies.some((cookie) => cookie.name.startsWith('vestibule_ticket')), 'the ticket is gone');
      assert.deepEqual([...desk.complaints, ...phone.complaints], []);
    });

    test('a code is asked for, and a wrong one is told', { timeout: 60_000 }, async () => {
      const { page, complaints } = await visitor(chrome, { javaScriptEnabled });
      await page.goto(`${closed.door}${SEATS}`);
      await at(page, 'access').waitFor();
      await look(page, `${how}access`);
      await page.getByLabel('Access code').fill('AAAA-BBBB-DDDD');
      await at(page, 'use-code').click();
      await at(page, 'error').waitFor();
      await look(page, `${how}access-wrong`);
      await page.getByLabel('Access code').fill('aaaa bbbb cccc');
      await at(page, 'use-code').click();
      await page.waitForURL(`**${SEATS}`);
      await page.locator('[data-testid=queue], [data-testid=seat-map]').first().waitFor();
      assert.deepEqual(complaints, []);
    });
  });
}

test('the page that asks whether to leave has no barriers', { timeout: 60_000 }, async () => {
  await setRoom(open, { rate_per_minute: 1 });
  const { page } = await visitor(chrome);
  await page.goto(`${open.door}${SEATS}`);
  await at(page, 'queue').waitFor();
  await page.goto(`${open.door}/.waiting-room/rooms/demo/leave`);
  await looked(page, 'leaving');
});
