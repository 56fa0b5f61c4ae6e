// A line chart over the last minutes, as SVG. It knows nothing of rooms: give it points, and it draws them.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 46, RIGHT = 8, TOP = 16, BOTTOM = 22;    // px around the plot

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The least "round" number that is not below the largest value, and the step of the grid under it.
export function scale(largest) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, largest / 4)));
  const step = [1, 2, 5, 10].map((n) => Math.max(1, n * power)).find((n) => n * 4 >= largest) ?? 10 * power;
  return { top: step * Math.max(1, Math.ceil(largest / step)), step };
}

function short(n) {
  if (n >= 1e6) return `${+(n / 1e6).toFixed(1)}M`;
  return n >= 10_000 ? `${+(n / 1e3).toFixed(1)}k` : n.toLocaleString("en");
}

// series: [{ key, line: "a" | "b", area?, name }]; points: [{ t, [key]: number }], t in epoch ms, oldest first.
export function chart(svg, series, windowMs) {
  let points = [];
  let hoverX = null;

  function draw() {
    const width = svg.clientWidth, height = svg.clientHeight;
    if (width === 0 || points.length === 0) return;
    const now = points.at(-1).t;
    const { top, step } = scale(1.08 * Math.max(1, ...points.flatMap((point) => series.map(({ key }) => point[key]))));
    const x = (t) => LEFT + (width - LEFT - RIGHT) * (1 - (now - t) / windowMs);
    const y = (value) => height - BOTTOM - (height - TOP - BOTTOM) * (value / top);
    const parts = [];
    for (let value = 0; value <= top; value += step) {
      parts.push(node("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
      parts.push(node("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, short(value)));
    }
    const minutes = windowMs / 60_000;
    for (let ago = 0; ago <= minutes; ago += minutes > 5 ? 2 : 1) {
      const label = ago === 0 ? "now" : `−${ago} min`;
      parts.push(node("text", { x: x(now - ago * 60_000), y: height - 4, "text-anchor": ago === 0 ? "end" : "middle" }, label));
    }
    for (const { key, line, area } of series) {
      const path = points.map((point, i) => `${i ? "L" : "M"}${x(point.t).toFixed(1)} ${y(point[key]).toFixed(1)}`).join("");
      if (area) parts.push(node("path", { class: "area", d: `${path}V${y(0)}H${x(points[0].t).toFixed(1)}Z` }));
      parts.push(node("path", { class: line, d: path }));
    }
    if (hoverX !== null) parts.push(...hover(x, width));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(...parts);
  }

  function hover(x, width) {
    const near = points.reduce((best, point) => (Math.abs(x(point.t) - hoverX) < Math.abs(x(best.t) - hoverX) ? point : best));
    const at = x(near.t);
    const text = [new Date(near.t).toLocaleTimeString(), ...series.map(({ key, name }) => `${name} ${near[key].toLocaleString("en")}`)].join("  ");
    return [
      node("line", { class: "hair", x1: at, x2: at, y1: TOP, y2: svg.clientHeight - BOTTOM }),
      node("text", { class: "tip", x: Math.min(Math.max(at, LEFT + 90), width - 90), y: TOP - 1, "text-anchor": "middle" }, text),
    ];
  }

  svg.addEventListener("pointermove", (event) => { hoverX = event.clientX - svg.getBoundingClientRect().left; draw(); });
  svg.addEventListener("pointerleave", () => { hoverX = null; draw(); });
  new ResizeObserver(draw).observe(svg);
  return (next) => { points = next; draw(); };
}
