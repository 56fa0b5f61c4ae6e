// The page before the opening, kept true: it counts down, looks again as often as it is told, and loads itself anew when
// the room has gone on. Without it the page still works: the browser looks again by a refresh.

const ASK_MS_MAX = 10_000;        // an answer later than this will not come
const AGAIN_MS_MIN = 500;
const AGAIN_MS_MAX = 60_000;

const line = document.getElementById("line");
const at = (id) => document.getElementById(id);
const base = `/.waiting-room/rooms/${encodeURIComponent(line.dataset.room)}`;
const early = line.dataset.state === "early";
const numbers = new Intl.NumberFormat("en");

let opensAt = performance.now() + Number(line.dataset.leftMs);
let misses = 0;
let busy = false;
let timer = 0;
let looked = performance.now();

function two(n) {
  return String(n).padStart(2, "0");
}

function leftSaid(ms) {
  const seconds = Math.ceil(Math.max(0, ms) / 1000);
  const days = Math.floor(seconds / 86_400), hours = Math.floor(seconds / 3600) % 24, minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${days} d ${two(hours)}:${two(minutes)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function set(id, text) {
  if (at(id) && at(id).textContent !== text) at(id).textContent = text;
}

function tick() {
  const left = leftSaid(opensAt - performance.now());
  set("left", left);
  document.title = `${left} – ${line.dataset.title}`;
}

function when(ms) {
  const far = Math.abs(ms - Date.now()) > 20 * 3_600_000;
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  set("clock", `At ${new Date(ms).toLocaleString([], far ? { dateStyle: "full", timeStyle: "medium" } : time)}`);
}

// What was promised before the draw is compared with what is published after it.
function note(commitment) {
  try {
    if (commitment) localStorage.setItem(`draw ${line.dataset.room} ${line.dataset.epoch}`, commitment);
  } catch { /* no storage: then nothing to compare with */ }
}

async function look() {
  if (busy) return;
  busy = true;
  clearTimeout(timer);
  looked = performance.now();
  let next = AGAIN_MS_MAX;
  try {
    const answer = await fetch(base + (early ? "" : "/ticket"), {
      cache: "no-store", credentials: "same-origin", headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(ASK_MS_MAX),
    });
    if (answer.status === 401) {
      set("lead", "Your registration could not be kept. Please allow cookies for this site, then reload the page.");
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const facts = await answer.json();
    misses = 0;
    next = Number(facts.poll_after_ms) || 5_000;
    const word = early ? facts.phase : facts.state;
    if (word !== line.dataset.state && word !== "one_moment") {
      location.reload();
      return;
    }
    if (Number.isFinite(facts.next_in_ms)) {
      opensAt = performance.now() + facts.next_in_ms;
      when(facts.next_at_ms);
    }
    if (Number.isFinite(facts.registered)) set("registered", numbers.format(facts.registered));
    tick();
  } catch {
    misses += 1;
    next = 1_000 * 2 ** Math.min(misses, 6) * (0.5 + Math.random() / 2);
  } finally {
    busy = false;
    timer = setTimeout(look, Math.min(AGAIN_MS_MAX + 3_000, Math.max(AGAIN_MS_MIN, next)));
  }
}

// A laptop that wakes, a phone that is unlocked, a network that is back: look now.
function wake() {
  if (document.visibilityState === "visible" && performance.now() - looked > 1_500) look();
}
document.addEventListener("visibilitychange", wake);
addEventListener("online", wake);
addEventListener("pageshow", (event) => { if (event.persisted) wake(); });

// The server sends a refresh for browsers without scripts; this one looks for itself, without losing the page.
if (document.readyState === "complete") window.stop();
else addEventListener("load", () => window.stop(), { once: true });
note(line.dataset.commitment);
when(Number(line.dataset.atMs));
tick();
setInterval(tick, 500);
timer = setTimeout(look, Math.max(AGAIN_MS_MIN, Number(line.dataset.pollAfterMs) || 5_000));
