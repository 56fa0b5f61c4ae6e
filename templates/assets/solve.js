// A worker: finds the number for which SHA-256 of salt and number is the challenge. SHA-256 stands here in full because
// the browser's own is slow for many short texts, and is not there at all without TLS.

const ROUND = new Uint32Array(64), START = new Uint32Array(8);
for (let n = 2, found = 0; found < 64; n += 1) {
  let prime = true;
  for (let d = 2; d * d <= n; d += 1) if (n % d === 0) { prime = false; break; }
  if (!prime) continue;
  const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) >>> 0;
  if (found < 8) START[found] = fraction(Math.sqrt(n));
  ROUND[found] = fraction(Math.cbrt(n));
  found += 1;
}

const words = new Uint32Array(64);

function block(state, bytes, from) {
  for (let i = 0; i < 16; i += 1) {
    const at = from + i * 4;
    words[i] = bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
  }
  const turn = (x, n) => x >>> n | x << (32 - n);
  for (let i = 16; i < 64; i += 1) {
    const a = words[i - 15], b = words[i - 2];
    words[i] = words[i - 16] + words[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >>> 3) + (turn(b, 17) ^ turn(b, 19) ^ b >>> 10);
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const one = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (e & f ^ ~e & g) + ROUND[i] + words[i] | 0;
    const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + (a & b ^ a & c ^ b & c) | 0;
    h = g; g = f; f = e; e = d + one | 0; d = c; c = b; b = a; a = one + two | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

// Whole blocks of the salt are hashed once; what follows them is hashed for each number.
function search({ challenge, salt, maxnumber }) {
  const target = Uint32Array.from(challenge.match(/.{8}/g), (hex) => parseInt(hex, 16));
  const text = new TextEncoder().encode(salt);
  const whole = text.length - text.length % 64;
  const before = START.slice();
  for (let from = 0; from < whole; from += 64) block(before, text, from);
  const rest = text.length - whole;
  const tail = new Uint8Array(128);
  tail.set(text.subarray(whole));
  for (let number = 0; number <= maxnumber; number += 1) {
    const digits = String(number);
    let end = rest;
    for (let i = 0; i < digits.length; i += 1) tail[end++] = digits.charCodeAt(i);
    const size = end + 9 <= 64 ? 64 : 128;
    tail.fill(0, end);
    tail[end] = 0x80;
    new DataView(tail.buffer).setUint32(size - 4, (whole + end) * 8);
    const state = before.slice();
    for (let from = 0; from < size; from += 64) block(state, tail, from);
    if (state[0] === target[0] && state.every((word, i) => word === target[i])) return number;
  }
  return null;
}

onmessage = (event) => postMessage(search(event.data));
