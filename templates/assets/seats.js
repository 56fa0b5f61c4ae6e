// The seat map, made quick: arrow keys, a running total, the best seats in one press, and states kept fresh.
// The form underneath posts the same without it.

const FRESH_MS = 3_000;
const FRESH_MS_MAX = 30_000;

const form = document.getElementById("choose");
const hall = document.getElementById("hall");
const max = Number(form.dataset.seatsMax);
const at = (id) => document.getElementById(id);
const rows = [...hall.querySelectorAll(".row")].map((row) => {
  const cells = [...row.children].slice(1, -1);
  cells.forEach((cell, column) => { cell.column = column; });
  return cells.filter((cell) => cell.matches("input"));
});
const seats = rows.flat();
rows.forEach((row, r) => row.forEach((seat) => { seat.r = r; }));
const byName = new Map(seats.map((seat) => [seat.value, seat]));
const money = new Intl.NumberFormat("en", { style: "currency", currency: form.dataset.currency });
const digits = money.resolvedOptions().maximumFractionDigits;

const price = (amount) => money.format(amount / 10 ** digits);
const chosen = () => seats.filter((seat) => seat.checked && !seat.disabled);
const tell = (text) => { at("told").textContent = text; };

function summary() {
  const picks = chosen();
  const total = picks.reduce((sum, seat) => sum + Number(seat.dataset.price), 0);
  at("none").hidden = picks.length > 0;
  at("chosen").replaceChildren(...picks.map((seat) => {
    const chip = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${seat.value} ✕`;
    button.setAttribute("aria-label", `Give up seat ${seat.value}`);
    button.addEventListener("click", () => { seat.checked = false; summary(); hall.focus(); });
    chip.append(button);
    return chip;
  }));
  at("total-line").hidden = picks.length === 0;
  at("total").textContent = price(total);
  at("hold").textContent = picks.length === 0 ? "Hold these seats" : `Hold ${picks.length} ${picks.length === 1 ? "seat" : "seats"}, ${price(total)}`;
  hall.classList.toggle("full", picks.length >= max);
}

hall.addEventListener("change", (event) => {
  const seat = event.target;
  if (seat.checked && chosen().length > max) {
    seat.checked = false;
    tell(`${max} seats are the most in one order. Give one up to choose ${seat.value}.`);
  } else {
    const picks = chosen();
    tell(`${seat.value} ${seat.checked ? "chosen" : "given up"}. ${picks.length} of ${max}.`);
  }
  summary();
});

// One seat is in the tab order; the arrows go from there, over what cannot be chosen.
function rove(seat, focus) {
  seats.forEach((other) => { other.tabIndex = other === seat ? 0 : -1; });
  if (seat && focus) {
    seat.focus({ preventScroll: true });
    seat.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

const open = (row) => row.filter((seat) => !seat.disabled);

function nearest(row, column) {
  return open(row).reduce((best, seat) => (!best || Math.abs(seat.column - column) < Math.abs(best.column - column) ? seat : best), null);
}

function upward(from, step) {
  for (let r = from.r + step; r >= 0 && r < rows.length; r += step) {
    const seat = nearest(rows[r], from.column);
    if (seat) return seat;
  }
  return null;
}

const KEYS = {
  ArrowLeft: (seat) => open(rows[seat.r]).findLast((other) => other.column < seat.column),
  ArrowRight: (seat) => open(rows[seat.r]).find((other) => other.column > seat.column),
  ArrowUp: (seat) => upward(seat, -1),
  ArrowDown: (seat) => upward(seat, 1),
  Home: (seat) => open(rows[seat.r])[0],
  End: (seat) => open(rows[seat.r]).at(-1),
  PageUp: (seat) => rows.map((row) => nearest(row, seat.column)).find(Boolean),
  PageDown: (seat) => rows.map((row) => nearest(row, seat.column)).findLast(Boolean),
};

hall.addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.altKey || event.ctrlKey || event.metaKey || !event.target.matches("input")) return;
  event.preventDefault();
  const to = KEYS[event.key](event.target);
  if (to) rove(to, true);
});
hall.addEventListener("focusin", (event) => { if (event.target.matches("input")) rove(event.target, false); });

// Whether taking these would leave a single seat alone beside them.
function lonely(row, run) {
  const free = (column) => open(row).find((seat) => seat.column === column);
  const alone = (beside, beyond) => free(beside)?.classList.contains("standard") && !free(beyond);
  const [first, last] = [run[0].column, run.at(-1).column];
  return alone(first - 1, first - 2) || alone(last + 1, last + 2);
}

// The best: together, leaving no single seat alone if that can be, near the middle, two thirds back. Wheelchair spaces
// are left to those who need them.
function best(n) {
  const back = rows.length * 0.62;
  const middle = (hall.querySelector(".row").children.length - 3) / 2;    // two of them are the row's letters
  let found = null;
  for (const row of rows) {
    const free = open(row).filter((seat) => seat.classList.contains("standard"));
    for (let i = 0; i + n <= free.length; i += 1) {
      const run = free.slice(i, i + n);
      if (run.at(-1).column - run[0].column !== n - 1) continue;
      const cost = Math.abs((run[0].column + run.at(-1).column) / 2 - middle) + 1.4 * Math.abs(run[0].r - back) + (lonely(row, run) ? 1_000 : 0);
      if (!found || cost < found.cost) found = { run, cost };
    }
  }
  return found?.run;
}

at("best-n").replaceChildren(...Array.from({ length: max }, (_, i) => new Option(String(i + 1), String(i + 1), i === 1, i === 1)));
at("best").hidden = false;
at("best-go").addEventListener("click", () => {
  const n = Number(at("best-n").value);
  const run = best(n);
  if (!run) return tell(`There are no ${n} seats left next to each other.`);
  seats.forEach((seat) => { seat.checked = run.includes(seat); });
  rove(run[0], false);
  tell(`${run.map((seat) => seat.value).join(", ")} chosen.`);
  run[0].scrollIntoView({ block: "nearest", inline: "center" });
  summary();
});

// States as the server has them now. A chosen seat that went is given up, and said.
function refresh(list) {
  const went = [];
  for (const { seat: name, state, mine } of list) {
    const seat = byName.get(name);
    const shown = mine && state === "held" ? "mine" : state;
    if (!seat || seat.dataset.state === shown) continue;
    if (seat.checked && state !== "free") {
      went.push(name);
      seat.checked = false;
    }
    seat.dataset.state = shown;
    seat.disabled = state !== "free";
    const label = seat.getAttribute("aria-label").replace(/[^,]*$/, ` ${shown === "mine" ? "held by you" : state}`);
    seat.setAttribute("aria-label", label);
    seat.title = label;
  }
  if (went.length > 0) tell(`${went.join(", ")} ${went.length === 1 ? "has" : "have"} just been taken. Please choose again.`);
  if (seats.every((seat) => seat.tabIndex < 0 || seat.disabled)) rove(seats.find((seat) => !seat.disabled), false);
  summary();
}

let misses = 0;
let timer = 0;
let sent = false;
let stream = null;

// Changes as they happen. A stream that cannot be had, or is refused, leaves the map to polling.
function listen() {
  stream = new EventSource(location.pathname);
  hall.dataset.live = "waiting";
  stream.addEventListener("seats", (event) => {
    hall.dataset.live = "stream";
    misses = 0;
    // The stream is everybody's: a seat in a basket stays mine if it was.
    const told = JSON.parse(event.data).seats.map(([seat, state]) => ({ seat, state, mine: byName.get(seat)?.dataset.state === "mine" }));
    if (!sent) refresh(told);
  });
  stream.addEventListener("error", () => {
    // The browser tries again by itself, unless it was refused.
    if (stream?.readyState === EventSource.CLOSED) poll();
  });
}

function hush() {
  stream?.close();
  stream = null;
  clearTimeout(timer);
}

function poll() {
  hush();
  hall.dataset.live = "poll";
  look();
}

async function look() {
  clearTimeout(timer);
  if (sent || document.hidden) return;
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (answer.status === 202 || answer.status === 403) return tell("Your time inside is over. Reload the page to stand in line again.");
    if (!answer.ok) throw new Error(String(answer.status));
    const { seats: list } = await answer.json();
    misses = 0;
    if (!sent) refresh(list);
  } catch {
    misses += 1;
    if (misses === 3) tell("No connection: the map may be out of date.");
  }
  timer = setTimeout(look, Math.min(FRESH_MS_MAX, FRESH_MS * 2 ** misses) * (0.9 + Math.random() / 5));
}

// Nobody looks at a hidden page, so it asks for nothing.
function begin() {
  hush();
  if (document.hidden || sent) return;
  if (hall.dataset.live === "poll" || !("EventSource" in window)) poll(); else listen();
}
document.addEventListener("visibilitychange", begin);
addEventListener("pagehide", hush);
addEventListener("pageshow", (event) => { if (event.persisted) begin(); });

form.addEventListener("submit", (event) => {
  if (sent) return event.preventDefault();
  if (chosen().length === 0) {
    event.preventDefault();
    return tell("Choose at least one seat first.");
  }
  sent = true;
  hush();
  at("hold").setAttribute("aria-disabled", "true");
});

summary();
rove(chosen()[0] ?? seats.find((seat) => !seat.disabled), false);
hall.querySelector(".rows").scrollIntoView({ block: "nearest", inline: "center" });
begin();
