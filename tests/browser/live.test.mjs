// What one visitor does is seen by another on the seat map, at once and without reloading.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SCREENING, at, barriers, browser, picture, register, setRoom, start, visitor } from './harness.mjs';

let running;
let chrome;
before(async () => {
  running = await start();
  chrome = await browser();
  await setRoom(running, { rate_per_minute: 60_000, burst: 100 });
});
after(async () => {
  await chrome?.close();
  await running?.stop();
});

async function atTheMap(who) {
  await who.page.goto(`${running.door}/login?next=/screenings/${SCREENING}/seats`);
  await register(who.page);
  await at(who.page, 'seat-map').waitFor();
}

const stateOf = (page, seat) => at(page, `seat-${seat}`).getAttribute('data-state');
const becomes = (page, seat, state) => page.waitForFunction(
  ([id, wanted]) => document.querySelector(`[data-testid=${id}]`)?.dataset.state === wanted, [`seat-${seat}`, state]);

describe('the seat map', () => {
  test('shows a hold and its end to whoever looks, and keeps their own choice', { timeout: 60_000 }, async () => {
    const [one, two] = [await visitor(chrome), await visitor(chrome)];
    await atTheMap(one);
    await atTheMap(two);
    await two.page.waitForFunction(() => document.getElementById('hall').dataset.live === 'stream');
    await two.page.evaluate(() => { globalThis.neverReloaded = true; });
    await at(two.page, 'seat-E5').check();
    await at(two.page, 'seat-E6').check();
    await at(one.page, 'seat-E6').check();
    await at(one.page, 'seat-E7').check();
    await at(one.page, 'hold-button').click();
    await at(one.page, 'hold').waitFor();

    const held = Date.now();
    await becomes(two.page, 'E7', 'held');
    assert.ok(Date.now() - held < 3_000, 'seen at once');
    assert.equal(await stateOf(two.page, 'E6'), 'held');
    assert.ok(!await at(two.page, 'seat-E6').isChecked(), 'what went is given up');
    assert.ok(await at(two.page, 'seat-E5').isChecked(), 'what did not is kept');
    assert.match(await at(two.page, 'seat-status').innerText(), /E6 has just been taken/);
    await picture(two.page, 'seats-live');
    assert.deepEqual(await barriers(two.page), []);

    await at(one.page, 'release-button').click();
    await becomes(two.page, 'E7', 'free');
    assert.ok(await two.page.evaluate(() => globalThis.neverReloaded), 'the page was never reloaded');
    assert.deepEqual([...one.complaints, ...two.complaints], []);
  });

  test('asks now and then where there is no stream', { timeout: 60_000 }, async () => {
    const [one, two] = [await visitor(chrome), await visitor(chrome)];
    await two.page.addInitScript(() => { delete globalThis.EventSource; });
    await atTheMap(one);
    await atTheMap(two);
    assert.equal(await two.page.evaluate(() => document.getElementById('hall').dataset.live), 'poll');
    await at(one.page, 'seat-B9').check();
    await at(one.page, 'hold-button').click();
    await at(one.page, 'hold').waitFor();
    await becomes(two.page, 'B9', 'held');
    assert.deepEqual([...one.complaints, ...two.complaints], []);
  });

  test('a hold is extended once', { timeout: 60_000 }, async () => {
    const { page, complaints } = await visitor(chrome);
    await atTheMap({ page });
    await at(page, 'seat-C3').check();
    await at(page, 'hold-button').click();
    await at(page, 'extend-button').click();
    await at(page, 'hold').waitFor();
    await at(page, 'extend-button').waitFor({ state: 'detached' });
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(complaints, []);
  });
});
