// The dashboard, live: numbers by events, charts of the last ten minutes, and changes without leaving the page.
// The forms post the same without it.

import { chart } from "./chart.js";

const WINDOW_MS = 600_000;
const LATE_MS = 3_000;            // older than this is said loudly
const HISTORY_MS = 10_000;        // others change the room too
const CHANGES_SHOWN = 10;
const RATE_MAX = 1_000_000;
const STEPS_A_DECADE = 20;        // of the slider, which is logarithmic: 0 → 1, 120 → 1,000,000

const live = document.getElementById("live");
const number = (n) => Number(n).toLocaleString("en");
const toRate = (step) => {
  const exact = 10 ** (step / STEPS_A_DECADE);
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(exact)) - 1);
  return Math.min(RATE_MAX, Math.max(1, Math.round(exact / unit) * unit));
};
const toStep = (rate) => Math.round(Math.log10(Math.max(1, rate)) * STEPS_A_DECADE);

function span(ms) {
  if (ms === null || ms === undefined) return "not known";
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
}

class Room {
  constructor(box) {
    this.box = box;
    this.name = box.dataset.room;
    this.facts = null;
    this.slots = Object.fromEntries([...box.querySelectorAll("[data-fact]")].map((slot) => [slot.dataset.fact, slot]));
    this.rate = box.querySelector("[name=rate_per_minute]");
    this.slider = box.querySelector("[data-slider]");
    this.undo = box.querySelector("[data-undo]");
    this.points = this.remembered();
    const svg = (name) => box.querySelector(`[data-chart=${name}]`);
    box.querySelectorAll(".charts, .numbers, [data-slider]").forEach((part) => { part.hidden = false; });
    this.drawings = [
      chart(svg("waiting"), [{ key: "waiting", line: "a", area: true, name: "waiting" }], WINDOW_MS),
      chart(svg("admitted"), [{ key: "rate", line: "b", name: "rate" }, { key: "admitted", line: "a", area: true, name: "let in" }], WINDOW_MS),
    ];
    this.slider.value = toStep(Number(this.rate.value));
    this.listen();
  }

  listen() {
    this.slider.addEventListener("input", () => { this.rate.value = toRate(Number(this.slider.value)); this.touched(this.rate); });
    this.rate.addEventListener("input", () => { this.slider.value = toStep(Number(this.rate.value)); });
    for (const field of this.fields()) field.addEventListener("input", () => this.touched(field));
    for (const form of this.box.querySelectorAll("form[data-change]")) {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const button = event.submitter;
        if (button?.name !== "state") return this.change(this.changes());
        const grave = ["closed", "sold_out"].includes(button.value);
        if (grave && !confirm(`${button.textContent}: everybody in line is told so, and nobody goes in any more. Sure?`)) return;
        this.change({ state: button.value });
      });
    }
    this.undo.addEventListener("submit", (event) => { event.preventDefault(); this.send("POST", "/undo"); });
    setInterval(() => { if (!document.hidden) this.history(); }, HISTORY_MS);
  }

  fields() {
    return [...this.box.querySelectorAll(".controls [name]")];
  }

  touched(field) {
    field.dataset.dirty = "";
    this.slider.setAttribute("aria-valuetext", `${number(this.rate.value)} a minute`);
    this.forecast();
  }

  changes() {
    const dirty = this.fields().filter((field) => "dirty" in field.dataset && !(field.name === "ramp" && field.value === ""));
    return Object.fromEntries(dirty.map((field) => [field.name, field.type === "number" ? Number(field.value) : field.value]));
  }

  async change(patch) {
    if (Object.keys(patch).length === 0) return this.answer("Nothing has changed.");
    return this.send("PATCH", "", patch);
  }

  async send(method, path, patch) {
    try {
      const answer = await fetch(`/api/rooms/${encodeURIComponent(this.name)}${path}`, {
        method, headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: patch && JSON.stringify(patch), signal: AbortSignal.timeout(10_000),
      });
      if (answer.status === 401) return location.reload();
      const body = await answer.json().catch(() => ({}));
      if (!answer.ok) return this.answer(body.detail || body.title || `Refused (${answer.status}).`);
      for (const field of this.fields()) {
        if (!patch || field.name in patch) delete field.dataset.dirty;
        if (field.name === "ramp" && !("dirty" in field.dataset)) field.value = "";
      }
      this.history();
      this.answer(`Applied at ${new Date().toLocaleTimeString()}.`);
      if ("waiting" in body) this.show(body);
    } catch {
      this.answer("No answer. It may or may not have been applied: look at the numbers.");
    }
  }

  async history() {
    try {
      const answer = await fetch(`/api/rooms/${encodeURIComponent(this.name)}/changes`, { signal: AbortSignal.timeout(10_000) });
      if (!answer.ok) return;
      const { changes } = await answer.json();
      this.undo.hidden = changes.length === 0;
      this.slots.unchanged.hidden = changes.length > 0;
      this.slots.changes.replaceChildren(...changes.slice(0, CHANGES_SHOWN).map((change) => {
        const [line, time, who] = ["li", "time", "b"].map((name) => document.createElement(name));
        time.dateTime = change.at;
        time.textContent = new Date(change.at_ms).toLocaleTimeString();
        who.textContent = change.who;
        line.append(time, " ", who, ` ${change.text}`);
        return line;
      }));
    } catch { /* the next time */ }
  }

  answer(text) {
    this.slots.answer.textContent = text;
  }

  set(slot, text) {
    const at = this.slots[slot];
    if (at.textContent !== text) at.textContent = text;
  }

  show(facts) {
    this.facts = facts;
    const still = !["open", "draining"].includes(facts.state);
    const said = facts.state.replace("_", " ");
    this.box.dataset.state = facts.state;
    this.set("title", facts.title ?? this.name);
    this.set("state", said);
    this.set("state_why", facts.state_why);
    this.set("rate", still ? `0, ${said}` : number(facts.rate_per_minute) + (facts.ramp ? `, on its way to ${number(facts.ramp.to_per_minute)}` : ""));
    for (const key of ["waiting", "admitted_last_minute", "called", "admitted_total"]) this.set(key, number(facts[key]));
    this.set("active", number(facts.active) + (facts.max_active > 0 ? ` of ${number(facts.max_active)}` : ""));
    this.set("eta", still ? said : span(facts.eta_ms));
    this.set("left", facts.remaining ? `${number(facts.remaining.free)}, ${number(facts.remaining.held)} held` : "–");
    this.set("store", `store: ${facts.store}${facts.store_ok ? "" : ", away"}`);
    this.slots.store.dataset.ok = String(facts.store_ok);
    this.slots.store_why.hidden = !facts.store_why;
    this.set("store_why", facts.store_why);
    this.slots.autopilot.hidden = !facts.autopilot;
    this.set("autopilot", facts.autopilot ? `Autopilot. ${facts.autopilot.why}` : "");
    const toggle = this.slots.toggle;
    const open = facts.state === "open";
    toggle.value = open ? "paused" : "open";
    this.set("toggle", open ? "Pause" : facts.state === "paused" ? "Resume" : "Open again");
    toggle.classList.toggle("go", !open);
    toggle.classList.toggle("stop", open);
    // What is being edited is left alone.
    for (const field of this.fields()) {
      if (field.name !== "ramp" && !("dirty" in field.dataset) && document.activeElement !== field) field.value = facts[field.name] ?? "";
    }
    if (!("dirty" in this.rate.dataset) && document.activeElement !== this.slider) this.slider.value = toStep(facts.rate_per_minute);
    this.slider.setAttribute("aria-valuetext", `${number(this.rate.value)} a minute`);
    this.forecast();
    this.point(facts, still);
  }

  forecast() {
    const rate = Number(this.rate.value);
    const waiting = this.facts?.waiting ?? 0;
    if (!(rate > 0) || waiting === 0) return this.set("forecast", "");
    const ms = (waiting / rate) * 60_000;
    const end = new Date(Date.now() + ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    this.set("forecast", `At ${number(rate)} a minute, the ${number(waiting)} who wait are in by ${end} (${span(ms)}).`);
  }

  point(facts, still) {
    const t = facts.at_ms;
    if (this.points.length > 0 && t - this.points.at(-1).t < 500) return;
    this.points.push({ t, waiting: facts.waiting, admitted: facts.admitted_last_minute, rate: still ? 0 : facts.rate_per_minute });
    while (this.points[0].t < t - WINDOW_MS) this.points.shift();
    for (const draw of this.drawings) draw(this.points);
    if (this.points.length % 10 === 1) this.remember();
    if (this.box.querySelector(".numbers").open) this.table();
  }

  table() {
    const last = this.points.at(-1).t;
    const minutes = this.points.filter((point, i, all) => i === all.length - 1
      || Math.floor((last - point.t) / 60_000) !== Math.floor((last - all[i + 1].t) / 60_000)).reverse();
    this.slots.table.replaceChildren(...minutes.map((point) => {
      const row = document.createElement("tr");
      for (const text of [new Date(point.t).toLocaleTimeString(), number(point.waiting), number(point.admitted), number(point.rate)]) {
        row.insertCell().textContent = text;
      }
      return row;
    }));
  }

  // A reload does not lose the curves.
  remembered() {
    try { return JSON.parse(sessionStorage.getItem(`points:${this.name}`)) ?? []; } catch { return []; }
  }

  remember() {
    try { sessionStorage.setItem(`points:${this.name}`, JSON.stringify(this.points)); } catch { /* only comfort */ }
  }
}

const rooms = new Map([...document.querySelectorAll("[data-room]")].map((box) => [box.dataset.room, new Room(box)]));
let heard = -Infinity;
let lost = false;

function listen() {
  const events = new EventSource("/api/events");
  events.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    heard = performance.now();
    lost = false;
    for (const facts of Array.isArray(told) ? told : told.rooms ?? [told]) rooms.get(facts.room)?.show(facts);
  };
  events.onerror = () => {
    if (events.readyState !== EventSource.CLOSED) return;    // it comes back by itself
    lost = true;
    setTimeout(listen, 5_000);
  };
}

setInterval(() => {
  const age = performance.now() - heard;
  if (age === Infinity && !lost) return;
  const late = age > LATE_MS;
  live.dataset.live = late ? "late" : "yes";
  live.textContent = lost ? "no connection: reload to log in again" : late ? `no news for ${span(age)}` : `live, ${(age / 1000).toFixed(1)} s old`;
}, 200);
listen();
