// The fair draw, computed anew from what is published about it: docs/draw.md in plain JavaScript, on its own so that it
// can be read, and run, apart from any page. Uses no `crypto.subtle`, which plain HTTP does not have.

const ALGORITHM = "vestibule draw 1";

const K = (() => {
  // The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
  const words = [];
  for (let n = 2; words.length < 64; n += 1) {
    let prime = true;
    for (let d = 2; d * d <= n; d += 1) if (n % d === 0) { prime = false; break; }
    if (prime) words.push(Math.floor((Math.cbrt(n) % 1) * 2 ** 32));
  }
  return Uint32Array.from(words);
})();

export function sha256(bytes) {
  const h = Uint32Array.of(0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19);
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, bytes.length * 8);
  const w = new Uint32Array(64);
  const right = (x, n) => (x >>> n) | (x << (32 - n));
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i += 1) w[i] = view.getUint32(at + 4 * i);
    for (let i = 16; i < 64; i += 1) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + (right(x, 7) ^ right(x, 18) ^ (x >>> 3)) + w[i - 7] + (right(y, 17) ^ right(y, 19) ^ (y >>> 10));
    }
    let [a, b, c, d, e, f, g, last] = h;
    for (let i = 0; i < 64; i += 1) {
      const one = (last + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const two = ((right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [last, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, last].forEach((word, i) => { h[i] += word; });
  }
  const out = new Uint8Array(32);
  h.forEach((word, i) => new DataView(out.buffer).setUint32(4 * i, word));
  return out;
}

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function unhex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error("not hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function eight(n) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(n));
  return bytes;
}

export function finalSeed(evidence) {
  const text = new TextEncoder();
  const parts = [text.encode(ALGORITHM), unhex(evidence.seed), eight(evidence.drawn), text.encode(evidence.digest), text.encode(evidence.beacon)];
  if (evidence.lane) parts.push(text.encode(evidence.lane));
  return sha256(Uint8Array.from(parts.flatMap((part) => [...eight(part.length), ...part])));
}

// The key stream of ChaCha20 with a nonce of zeros, from block 0, sixteen words at a time.
function chacha(key) {
  const view = new DataView(key.buffer, key.byteOffset, 32);
  const start = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  for (let i = 0; i < 8; i += 1) start[4 + i] = view.getUint32(4 * i, true);
  const s = new Uint32Array(16);
  const quarter = (a, b, c, d) => {
    let x;
    s[a] += s[b]; x = s[d] ^ s[a]; s[d] = (x << 16) | (x >>> 16);
    s[c] += s[d]; x = s[b] ^ s[c]; s[b] = (x << 12) | (x >>> 20);
    s[a] += s[b]; x = s[d] ^ s[a]; s[d] = (x << 8) | (x >>> 24);
    s[c] += s[d]; x = s[b] ^ s[c]; s[b] = (x << 7) | (x >>> 25);
  };
  let next = 16;
  return () => {
    if (next === 16) {
      s.set(start);
      for (let round = 0; round < 10; round += 1) {
        quarter(0, 4, 8, 12); quarter(1, 5, 9, 13); quarter(2, 6, 10, 14); quarter(3, 7, 11, 15);
        quarter(0, 5, 10, 15); quarter(1, 6, 11, 12); quarter(2, 7, 8, 13); quarter(3, 4, 9, 14);
      }
      for (let i = 0; i < 16; i += 1) s[i] += start[i];
      start[12] += 1;
      if (start[12] === 0) start[13] += 1;
      next = 0;
    }
    next += 1;
    return s[next - 1];
  };
}

// The places of the numbers 1 to `count`.
export function draw(seed, count) {
  const places = Uint32Array.from({ length: count }, (_, i) => i + 1);
  const word = chacha(seed);
  for (let last = count - 1; last > 0; last -= 1) {
    const bound = last + 1;
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let taken = word();
    while (taken >= limit) taken = word();
    const other = taken % bound;
    const place = places[last];
    places[last] = places[other];
    places[other] = place;
  }
  return places;
}

// What follows from the evidence: whether the seed is the committed one, and everybody's place.
export function check(evidence) {
  if (evidence.algorithm !== ALGORITHM) throw new Error(`unknown algorithm ${evidence.algorithm}`);
  if (!evidence.seed) throw new Error("the draw has not been made");
  const seed = finalSeed(evidence);
  return {
    committed: hex(sha256(unhex(evidence.seed))) === evidence.commitment,
    follows: hex(seed) === evidence.final_seed,
    places: draw(seed, evidence.drawn),
  };
}
