// The page's own computation of a draw against the published vectors (docs/draw.md), without a browser.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const source = readFileSync(new URL('../../templates/assets/draw.js', import.meta.url), 'utf8');
const { check, draw, finalSeed, hex, sha256 } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

const evidence = {
  algorithm: 'vestibule draw 1',
  seed: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  commitment: '630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd',
  drawn: 10,
  digest: 'd1f0c4b1a2938475',
  beacon: 'drand 4521873',
  final_seed: '8ec02113c874094f6c5cc1dddd70cf136653c8bfdaa303083a9b031bbf07e865',
};

test('the hash is SHA-256', () => {
  for (const length of [0, 1, 3, 55, 56, 63, 64, 65, 119, 1000]) {
    const bytes = randomBytes(length);
    assert.equal(hex(sha256(bytes)), createHash('sha256').update(bytes).digest('hex'), `${length} bytes`);
  }
});

test('the order is the one of the published vectors', () => {
  const { committed, follows, places } = check(evidence);
  assert.deepEqual([committed, follows, [...places]], [true, true, [6, 1, 10, 8, 3, 7, 4, 2, 9, 5]]);
  const seed = finalSeed({ ...evidence, drawn: 1000 });
  assert.equal(hex(seed), 'b57fe9d77e341cab6116fde40b9c73d2b58c490dd160376c5971f817d71e3ceb');
  const thousand = draw(seed, 1000);
  const bytes = Buffer.alloc(4000);
  thousand.forEach((place, i) => bytes.writeUInt32BE(place, 4 * i));
  assert.equal(createHash('sha256').update(bytes).digest('hex'), '88fe41613a6dfcbc8d39795299d8c62df602d9cc01fea30c1baa949f52b4bc2d');
});

test('evidence that does not hold is told from evidence that does', () => {
  assert.equal(check({ ...evidence, seed: '00'.repeat(32) }).committed, false);
  assert.equal(check({ ...evidence, beacon: 'other' }).follows, false);
  assert.equal(check({ ...evidence, drawn: 9 }).follows, false);
  assert.throws(() => check({ ...evidence, seed: null }));
  assert.throws(() => check({ ...evidence, algorithm: 'other' }));
});
