// The line's store goes away: who comes then has a place all the same, sees so, and gets a number by itself on the return.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { SCREENING, at, barriers, browser, crowd, picture, start, visitor } from './harness.mjs';

let redis;
let port;
let running;
let chrome;

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const free = server.address().port;
      server.close(() => resolve(free));
    });
  });
}

function startRedis() {
  redis = spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
}

function endRedis() {
  const ended = new Promise((resolve) => redis.once('exit', resolve));
  redis.kill('SIGKILL');
  return ended;
}

before(async () => {
  port = await freePort();
  startRedis();
  running = await start([
    `waiting_room.store=redis://127.0.0.1:${port}/0`,
    'waiting_room.rooms.demo.rate_per_minute=1',
    'waiting_room.rooms.demo.burst=1',
  ]);
  chrome = await browser();
});
after(async () => {
  await chrome?.close();
  await running?.stop();
  if (redis) await endRedis();
});

test('who comes while the store is away has a place, and a number after its return', { timeout: 120_000 }, async () => {
  await crowd(running.door, 3);
  const path = `${running.door}/screenings/${SCREENING}/seats`;
  const early = await visitor(chrome);
  await early.page.goto(path);
  const place = await at(early.page, 'place').innerText();
  assert.match(place, /^\d+$/);
  await endRedis();
  const people = [];
  for (const [how, options] of [['with-script', {}], ['without-script', { javaScriptEnabled: false }], ['phone', { viewport: { width: 390, height: 844 } }]]) {
    const window = await visitor(chrome, options);
    await window.page.goto(path);
    await window.page.locator('[data-testid=queue][data-state=provisional]').waitFor();
    assert.equal(await at(window.page, 'headline').innerText(), 'You have a place');
    assert.equal(await at(window.page, 'place').innerText(), 'on its way');
    assert.equal(await at(window.page, 'ahead').innerText(), '–');
    if (options.javaScriptEnabled !== false) assert.deepEqual(await barriers(window.page), []);
    await picture(window.page, `provisional-${how}`, { fullPage: true });
    people.push(window);
  }
  await early.page.locator('[data-testid=queue][data-state=one_moment]').waitFor();
  assert.equal(await at(early.page, 'place').innerText(), place, 'the last place stays');

  const operator = await visitor(chrome);
  await operator.page.goto(running.operator);
  await operator.page.locator('input[name=name]').fill('ada');
  await operator.page.locator('input[name=password]').fill(running.password);
  await operator.page.getByRole('button', { name: /log in/i }).click();
  await at(operator.page, 'store-why').filter({ hasText: 'nobody goes in' }).waitFor();
  await picture(operator.page, 'operator-store-away');

  startRedis();
  const numbers = [];
  for (const { page, complaints } of people) {
    await at(page, 'place').filter({ hasText: /^[\d,]+$/ }).waitFor();
    numbers.push(Number((await at(page, 'place').innerText()).replaceAll(',', '')));
    assert.deepEqual(complaints, []);
  }
  assert.deepEqual(numbers, [...numbers].sort((one, other) => one - other), 'in the order of arrival');
  assert.equal(new Set(numbers).size, numbers.length);
  await picture(people[0].page, 'provisional-numbered');
  await at(operator.page, 'store-why').waitFor({ state: 'hidden' });
  assert.deepEqual(operator.complaints, []);
});
