// Lanes on the operator's page and on the visitor's: a row each, and weights that are changed while people wait.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { at, barriers, browser, crowd, picture, start, visitor } from './harness.mjs';

let running;
let chrome;
before(async () => {
  running = await start(['waiting_room.rooms.demo.rate_per_minute=1', 'waiting_room.rooms.demo.burst=1',
    'waiting_room.rooms.demo.lanes=[{ name = "members", weight = 3, anyone = true }, { name = "press", weight = 1 }]']);
  chrome = await browser();
});
after(async () => {
  await chrome?.close();
  await running?.stop();
});

async function login(options) {
  const window = await visitor(chrome, options);
  await window.page.goto(`${running.operator}/`);
  await at(window.page, 'password').fill(running.password);
  await at(window.page, 'login-button').click();
  await at(window.page, 'lanes').waitFor();
  return window;
}

const waiting = (page, lane) => page.locator(`[data-lane=${lane}] [data-lane-fact=waiting]`);

test('each lane has a row, and its weight is changed with and without JavaScript', { timeout: 60_000 }, async () => {
  const operator = await login();
  await crowd(running.door, 12);
  for (let one = 0; one < 9; one += 1) {
    await fetch(`${running.door}/.waiting-room/rooms/demo/tickets?lane=members`, { method: 'POST' });
  }
  await operator.page.waitForFunction(() => Number(document.querySelector('[data-lane=members] [data-lane-fact=waiting]').innerText) > 5);
  assert.equal(await waiting(operator.page, 'press').innerText(), '0');
  await at(operator.page, 'weight-members').fill('5');
  await at(operator.page, 'apply').click();
  await operator.page.getByText('lane_weights: members 3 → members 5').waitFor();
  await picture(operator.page, 'lanes', { fullPage: true });
  assert.deepEqual(await barriers(operator.page), []);
  assert.deepEqual(operator.complaints, []);

  const plain = await login({ javaScriptEnabled: false });
  assert.equal(await at(plain.page, 'weight-members').inputValue(), '5');
  await at(plain.page, 'weight-press').fill('2');
  await at(plain.page, 'apply').click();
  await plain.page.waitForURL(`${running.operator}/`);
  assert.equal(await at(plain.page, 'weight-press').inputValue(), '2');
});

test('a place says which lane it is in', { timeout: 60_000 }, async () => {
  const { page, complaints } = await visitor(chrome);
  await page.goto(`${running.door}/films`);
  const joined = await page.evaluate(() => fetch('/.waiting-room/rooms/demo/tickets?lane=members', { method: 'POST' }).then((answer) => answer.json()));
  assert.equal(joined.lane, 'members');
  await page.goto(`${running.door}/screenings/lighthouse-1900/seats`);
  assert.match(await at(page, 'lane').innerText(), /members/);
  assert.equal(Number(await at(page, 'place').innerText()), joined.number);
  assert.deepEqual(complaints, []);
});
