// "Verify your place": computes the whole draw in this browser and says what it found.

const lot = document.getElementById("lot");
const found = document.getElementById("verified");
const numbers = new Intl.NumberFormat("en");

function say(holds, text) {
  lot.dataset.holds = String(holds);
  found.classList.toggle("lost", !holds);
  found.hidden = false;
  found.textContent = text;
}

function noted() {
  try {
    return localStorage.getItem(`draw ${lot.dataset.room} ${lot.dataset.epoch}`);
  } catch {
    return null;
  }
}

async function verify() {
  // The same version as this script's.
  const { check } = await import(`./draw.js${new URL(import.meta.url).search}`);
  const answer = await fetch(lot.dataset.evidence, { cache: "no-store" });
  if (!answer.ok) throw new Error(String(answer.status));
  const evidence = await answer.json();
  const { committed, follows, places } = check(evidence);
  const number = Number(lot.dataset.number), shown = Number(lot.dataset.position), place = places[number - 1];
  const before = noted();
  if (!committed) return say(false, "The seed is NOT the one that was committed to before the draw.");
  if (before && before !== evidence.commitment) return say(false, "The commitment is NOT the one that this browser noted before the draw.");
  if (!follows) return say(false, "The order does NOT follow from the published seed and the registrations.");
  if (place !== shown) return say(false, `The draw gives registration ${numbers.format(number)} the place ${place ? numbers.format(place) : "none"}, NOT ${numbers.format(shown)}.`);
  return say(true, `It holds: this browser computed the draw of all ${numbers.format(places.length)} again. Registration ${numbers.format(number)} has place ${numbers.format(place)}, and the seed is the one that was committed to before`
    + (before ? ", as this browser noted then." : ". This browser did not see the commitment before the draw, so it cannot say when it was published."));
}

document.getElementById("verify").addEventListener("click", async (event) => {
  event.target.disabled = true;
  try {
    await verify();
  } catch (error) {
    say(false, `The draw could not be verified (${error.message}). Try again in a moment.`);
  } finally {
    event.target.disabled = false;
  }
});
