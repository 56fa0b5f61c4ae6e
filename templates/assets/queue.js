// The queue page, kept true. It asks for the visitor's place as often as the answer says, shows it, and goes on by
// itself when it is their turn. Without it the page still works: the browser looks again by a refresh.

const ASK_MS_MAX = 10_000;        // an answer later than this will not come
const AGAIN_MS_MIN = 500;
const AGAIN_MS_MAX = 60_000;
const SAY_MS_MIN = 30_000;        // a screen reader is told no more often than this
const RELOADS_MAX = 4;            // in RELOADS_MS: more means that the browser keeps no cookie
const RELOADS_MS = 60_000;

const line = document.getElementById("line");
const at = (id) => document.getElementById(id);
const base = `/.waiting-room/rooms/${encodeURIComponent(line.dataset.room)}`;
const numbers = new Intl.NumberFormat("en");
const clock = (ms, seconds) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined });

const HEADS = {
  waiting: ["You are in line", "People are let in at a steady pace, so that the shop works for everybody inside."],
  called: ["You are next", "Stay here: the door opens for you as soon as the next one may go in."],
  paused: ["The line is paused", "Nobody is let in for now. Your place is kept, and the line goes on from where it stands."],
  provisional: ["You have a place", "Your number comes as soon as we can see the line again: in the order in which people came, so you lose nothing by it. This page looks for it by itself."],
  one_moment: ["One moment, please", "We cannot see the line just now. Your place is kept; this page tries again by itself."],
};

const began = performance.now() - Number(line.dataset.waitedMs);
let heard = performance.now() - Math.max(0, Number(line.dataset.serverNowMs) - Number(line.dataset.updatedAtMs));
let updatedAt = Number(line.dataset.updatedAtMs);
let misses = 0;
let busy = false;
let gone = false;
let timer = 0;
let looked = performance.now();
let said = { at: performance.now() - SAY_MS_MIN / 2, text: "", state: line.dataset.state };

function set(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function waitSaid(eta) {
  const low = Math.ceil(eta.low_ms / 60_000), high = Math.ceil(eta.high_ms / 60_000);
  if (high <= 1) return "less than a minute";
  if (high >= 120) return `about ${Math.max(1, Math.floor(low / 60))}–${Math.ceil(high / 60)} hours`;
  return low === high ? `about ${high} minutes` : `about ${low}–${high} minutes`;
}

// Who is called waits for seconds, unless the room is slow.
function calledSaid(eta) {
  const high = eta ? eta.high_ms : 0, minutes = Math.ceil(high / 60_000);
  if (high <= 10_000) return "a few seconds";
  return minutes <= 1 ? "less than a minute" : `up to ${minutes} minutes`;
}

function hint(left, ahead) {
  if (!left) return "";
  if (left.free <= 0 && left.held <= 0) return "Everything is sold. You can stay, but there may be nothing left when it is your turn.";
  if (left.free <= 0) return `Nothing is free at this moment. ${left.held === 1 ? "One is" : `${numbers.format(left.held)} are`} in other people's baskets; some of it may come back.`;
  if (left.free <= ahead) return `About ${numbers.format(left.free)} left, and about ${numbers.format(ahead)} people before you. There may be nothing left when it is your turn.`;
  return "";
}

function box(id, shown) {
  at(id).hidden = !shown;
}

function state(word) {
  line.dataset.state = word;
  set("head", HEADS[word][0]);
  set("lead", HEADS[word][1]);
}

function show(facts) {
  const word = facts.state in HEADS ? facts.state : "waiting";
  const ahead = Number(facts.ahead) || 0;
  state(word);
  if (Number.isFinite(facts.ahead)) set("ahead", numbers.format(ahead));    // not known while the store is away
  if (facts.position > 0) set("place", numbers.format(facts.position));
  if (facts.position > 0) box("elsewhere", true);    // without a number there is nothing to take along
  const known = word === "waiting" && facts.eta;
  set("eta", word === "called" ? calledSaid(facts.eta) : known ? waitSaid(facts.eta) : "not known");
  set("eta-clock", known && facts.eta.high_ms > 60_000
    ? `between ${clock(facts.server_now_ms + facts.eta.low_ms)} and ${clock(facts.server_now_ms + facts.eta.high_ms)}` : "");
  set("rate", word === "paused" ? "nobody for now" : `${numbers.format(facts.rate_per_minute)} a minute`);
  box("left-box", facts.remaining);
  if (facts.remaining) set("left", `about ${numbers.format(Math.max(0, facts.remaining.free))}`);
  box("message-box", facts.message);
  set("message", facts.message || "");
  const warning = hint(facts.remaining, ahead);
  box("hint", warning);
  set("hint", warning);
  if (known || word === "called") box("progress", true);
  if (word === "called") at("progress").value = 1000;
  else if (known) {
    const waited = performance.now() - began;
    const over = 1000 * waited / Math.max(1, waited + (facts.eta.low_ms + facts.eta.high_ms) / 2);
    at("progress").value = Math.max(at("progress").value, over);    // it never goes back
  }
  document.title = `${word === "waiting" ? `${numbers.format(ahead)} ahead` : HEADS[word][0]} – ${line.dataset.title}`;
  updatedAt = facts.updated_at_ms;
  heard = performance.now() - Math.max(0, facts.server_now_ms - facts.updated_at_ms);
  say(word, ahead, facts);
  age();
}

// Polite and rare: a change of state at once, numbers every half minute.
function say(word, ahead, facts) {
  const now = performance.now();
  const changed = word !== said.state;
  if (!changed && now - said.at < SAY_MS_MIN) return;
  const text = word !== "waiting" ? HEADS[word].join(". ")
    : `${numbers.format(ahead)} people ahead of you${facts.eta ? `, ${waitSaid(facts.eta)}` : ""}.`;
  if (text === said.text) return;
  said = { at: now, text, state: word };
  set("status", text);
}

function age() {
  const seconds = Math.max(0, Math.round((performance.now() - heard) / 1000));
  const ago = seconds < 2 ? "just now" : seconds < 120 ? `${seconds} seconds ago` : `${Math.round(seconds / 60)} minutes ago`;
  set("updated", misses > 1 ? `No connection since ${clock(updatedAt, true)}. Your place is kept; trying again.` : `Updated ${clock(updatedAt, true)}, ${ago}`);
}

async function ask(path, method) {
  return fetch(base + path, {
    method, cache: "no-store", credentials: "same-origin", headers: { Accept: "application/json" },
    signal: AbortSignal.timeout(ASK_MS_MAX),
  });
}

// A reload brings the page behind the door. If it brings this page again and again, the browser keeps no cookies.
function again() {
  let past = [];
  try {
    past = JSON.parse(sessionStorage.getItem("reloads") || "[]").filter((t) => Date.now() - t < RELOADS_MS);
    sessionStorage.setItem("reloads", JSON.stringify([...past, Date.now()]));
  } catch { /* no storage: then no guard */ }
  gone = true;
  if (past.length >= RELOADS_MAX) {
    state("one_moment");
    set("lead", "Your place could not be kept. Please allow cookies for this site, then reload the page.");
    return;
  }
  location.reload();
}

async function enter() {
  const answer = await ask("/entry", "POST");
  if (answer.status === 200 || answer.status === 409 || answer.status === 401) again();
  return answer.status === 202 ? answer.json() : null;
}

async function look() {
  if (busy || gone) return;
  busy = true;
  clearTimeout(timer);
  looked = performance.now();
  let next = AGAIN_MS_MAX;
  try {
    const answer = await ask("/ticket", "GET");
    if (answer.status === 401 || answer.status === 404 || answer.status === 409) return again();
    if (!answer.ok) throw new Error(String(answer.status));
    let facts = await answer.json();
    misses = 0;
    show(facts);
    if (["admitted", "closed", "sold_out", "moved"].includes(facts.state)) return again();
    if (facts.state === "called") facts = (await enter()) ?? facts;
    next = Number(facts.poll_after_ms) || 5_000;
  } catch {
    misses += 1;
    next = 1_000 * 2 ** Math.min(misses, 6) * (0.5 + Math.random() / 2);
    age();
  } finally {
    busy = false;
    if (!gone) timer = setTimeout(look, Math.min(AGAIN_MS_MAX, Math.max(AGAIN_MS_MIN, next)));
  }
}

// A laptop that wakes, a phone that is unlocked, a network that is back: look now.
function wake() {
  if (document.visibilityState === "visible" && performance.now() - looked > 1_500) look();
}
document.addEventListener("visibilitychange", wake);
addEventListener("online", wake);
addEventListener("pageshow", (event) => { if (event.persisted) wake(); });

at("leave").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!confirm("Leave the line? Your place goes to the next person.")) return;
  gone = true;
  clearTimeout(timer);
  try {
    const answer = await ask("/ticket", "DELETE");
    if (!answer.ok && answer.status !== 401) throw new Error(String(answer.status));
    location.assign("/");
  } catch {
    gone = false;
    event.target.submit();
  }
});

// The server sends a refresh for browsers without scripts; this one looks for itself, without losing the page.
if (document.readyState === "complete") window.stop();
else addEventListener("load", () => window.stop(), { once: true });
age();
setInterval(age, 1_000);
timer = setTimeout(look, Math.min(Number(line.dataset.pollAfterMs) || 5_000, line.dataset.state === "called" ? AGAIN_MS_MIN : AGAIN_MS_MAX));
