// Starts Vestibule as a user would, on free ports and in a folder of its own, and opens pages in Debian's Chromium.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const program = process.env.VESTIBULE_TEST_BIN ?? new URL('../../target/debug/vestibule', import.meta.url).pathname;
const pictures = process.env.REPORT_DIR ?? new URL('../../target/browser', import.meta.url).pathname;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const QUIET = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
export const SCREENING = 'lighthouse-1900';

// Everything in one process; `set` are settings, as on the command line.
export async function start(set = []) {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-browser-'));
  const listeners = ['door', 'core', 'core_grpc', 'sandbox', 'operator'].map((name) => `listen.${name}=127.0.0.1:0`);
  const settings = [...listeners, ...set].flatMap((pair) => ['--set', pair]);
  const child = spawn(program, settings, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const addresses = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const found = line.match(/^ {2}(visit the shop|operate) +(http:\/\/[^/]+)/);
    if (found) addresses[found[1]] = found[2];
    if (line.includes('stop with Ctrl-C')) break;
  }
  if (!addresses['visit the shop']) throw new Error('the program did not start; what it said stands above');
  return {
    door: addresses['visit the shop'],
    operator: addresses.operate,
    password: readFileSync(join(folder, 'data/operator-password'), 'utf8').trim(),
    async stop() {
      child.kill('SIGINT');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// A browser with a profile of its own.
export function browser() {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: QUIET });
}

// A visitor's window. Whatever a page logs as an error (a blocked script, a missing file) fails the test at the end.
export async function visitor(chrome, options = {}) {
  const context = await chrome.newContext({ viewport: { width: 1180, height: 900 }, locale: 'en-GB', ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // The browser logs every 4xx by itself; those are the subject of tests, not complaints of a page.
    if (message.type() === 'error' && !message.text().includes('Failed to load resource')) complaints.push(message.text());
  });
  page.setDefaultTimeout(20_000);
  return { page, context, complaints };
}

// What a screen reader would trip over: serious and critical findings of axe, as text.
export async function barriers(page) {
  // Run in the page's isolated world: the pages' own policy forbids foreign scripts, as it should.
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(' ')}`);
}

export async function picture(page, name, options = {}) {
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), ...options });
}

export const at = (page, id) => page.getByTestId(id);

// Other people in line, who came before.
export async function crowd(door, count) {
  for (let one = 0; one < count; one += 1) {
    await fetch(`${door}/.waiting-room/rooms/demo/tickets`, { method: 'POST' });
  }
}

// The operator's hand on the room.
export async function setRoom(running, change) {
  const answer = await fetch(`${running.operator}/api/rooms/demo`, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${running.password}`, 'content-type': 'application/json' },
    body: JSON.stringify(change),
  });
  if (!answer.ok) throw new Error(`the room could not be changed: ${answer.status} ${await answer.text()}`);
}

let customers = 0;

// Fills in the registration that the shop asks for.
export async function register(page) {
  customers += 1;
  await page.waitForURL(/\/(login|register)/);
  if (page.url().includes('/login')) await page.getByRole('link', { name: /register|account/i }).first().click();
  await at(page, 'email').fill(`browser-${process.pid}-${customers}@example.test`);
  await at(page, 'password').fill('correct horse battery');
  await at(page, 'register-button').click();
}
