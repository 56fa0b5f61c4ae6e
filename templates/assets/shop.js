// What every shop page needs: countdowns by the server's time, one press per form, and a look at an order under way.
// Each page works without it.

const SAY_AT_S = [60, 30, 10];    // what a screen reader hears of a countdown
const WATCH_MS = 1_500;
const WATCH_MS_MAX = 15_000;

function clock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

// The server says how much is left; from there this device's monotonic clock counts, so a wrong wall clock does no
// harm. A device that slept is put right by the server: the page reloads at the end, and the server decides.
function countdown(box) {
  const end = performance.now() + Number(box.dataset.countdownMs);
  const wall = Date.now();
  const start = performance.now();
  const digits = box.querySelector("[role=timer]");
  const bar = box.querySelector("progress");
  const status = box.querySelector("[role=status]");
  let said = Infinity;
  const timer = setInterval(tick, 250);
  tick();

  function tick() {
    // Some devices stop the monotonic clock in their sleep: time that only the wall clock saw counts too.
    const asleep = Math.max(0, Date.now() - wall - (performance.now() - start));
    const left = end - performance.now() - (asleep > 2_000 ? asleep : 0);
    const text = clock(left);
    if (digits.textContent !== text) digits.textContent = text;
    bar.value = Math.max(0, left);
    box.classList.toggle("short", left < 30_000);
    const mark = SAY_AT_S.findLast((s) => left <= s * 1000);
    if (mark && mark < said && left > 0) {
      said = mark;
      status.textContent = `${Math.ceil(left / 1000)} seconds left`;
    }
    if (left <= 0) {
      clearInterval(timer);
      setTimeout(() => location.reload(), 1_000);
    }
  }
}

// A second press while the first is under way would be answered alike, but need not be sent.
function once(form) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1";
    form.querySelector("button:not([type=button])").setAttribute("aria-disabled", "true");
  });
}

// While a payment is under way: ask, and reload when the order has moved on.
function watch(box) {
  let wait = WATCH_MS;
  const now = box.closest("[data-state]").dataset.state;
  const look = async () => {
    try {
      const answer = await fetch(box.dataset.watch, { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(10_000) });
      if (answer.ok && (await answer.json()).state !== now) return location.reload();
    } catch { /* asked again below */ }
    wait = Math.min(WATCH_MS_MAX, wait * 1.3);
    setTimeout(look, wait);
  };
  setTimeout(look, wait);
}

document.querySelectorAll("[data-countdown-ms]").forEach(countdown);
document.querySelectorAll("form[data-once]").forEach(once);
document.querySelectorAll("[data-watch]").forEach(watch);

const print = document.getElementById("print");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}

// Back from the browser's cache, times and states are old.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
