// The way into a line that asks for a proof of work: fetch a challenge, solve it in a worker, join, go on.

const AGAIN_MS = 3_000;
const RELOADS_MAX = 4;            // in RELOADS_MS: more means that the browser keeps no cookie
const RELOADS_MS = 60_000;

const main = document.getElementById("check");
const base = `/.waiting-room/rooms/${encodeURIComponent(main.dataset.room)}`;
const say = (text) => { document.getElementById("lead").textContent = text; };
const ask = (path, options) => fetch(base + path, { cache: "no-store", credentials: "same-origin", ...options });

function solve(challenge) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(main.dataset.solver);
    worker.onmessage = (event) => { worker.terminate(); resolve(event.data); };
    worker.onerror = () => { worker.terminate(); reject(new Error("the solver failed")); };
    worker.postMessage(challenge);
  });
}

function goOn() {
  let past = [];
  try {
    past = JSON.parse(sessionStorage.getItem("checks") || "[]").filter((t) => Date.now() - t < RELOADS_MS);
    sessionStorage.setItem("checks", JSON.stringify([...past, Date.now()]));
  } catch { /* no storage: then no guard */ }
  if (past.length >= RELOADS_MAX) return say("Your place could not be kept. Please allow cookies for this site, then reload the page.");
  location.reload();
}

async function join() {
  let wait = AGAIN_MS;
  try {
    const challenge = await (await ask("/challenge")).json();
    const number = await solve(challenge);
    if (number === null) throw new Error("no solution");
    const { algorithm, challenge: hash, salt, signature } = challenge;
    const proof = btoa(JSON.stringify({ algorithm, challenge: hash, number, salt, signature }));
    const answer = await ask("/tickets", { method: "POST", headers: { Accept: "application/json", "x-waiting-room-proof": proof } });
    if (answer.ok) return goOn();
    const problem = await answer.json();
    if (problem.retry === "never") return say(problem.detail);
    if (problem.code !== "proof_required") say(problem.detail);
    wait = Math.max(AGAIN_MS, Number(problem.retry_after_ms) || 0);
  } catch { /* try again */ }
  setTimeout(join, wait);
}

document.getElementById("working").hidden = false;
join();
