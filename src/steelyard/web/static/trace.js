// Events are loaded while scrolling, 40 at a time, and windows far from the view give their place to an empty box of
// their height: ten thousand events scroll like forty. Long texts grow by parts when asked.
const steps = document.getElementById("steps");
const unfold = document.querySelector("[data-unfold]");
const SIZE = 40, FAR = 6000;

if (unfold) {
  unfold.hidden = false;
  unfold.addEventListener("click", () => {
    const all = [...document.querySelectorAll("#steps details")];
    const open = all.some((d) => !d.open);
    for (const d of all) d.open = open;
    unfold.textContent = open ? "fold all" : "unfold all";
  });
}

async function fetched(from) {
  const url = new URL(steps.dataset.part, location.href);
  url.searchParams.set("from", from);
  const answer = await fetch(url, { credentials: "same-origin", headers: { accept: "text/html" } });
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html").querySelectorAll("#steps > .step");
}

function box(first, count, height) {
  const element = document.createElement("div");
  element.dataset.from = first;
  element.dataset.count = count;
  element.style.minHeight = `${height}px`;
  return element;
}

async function fill(element) {
  if (element.dataset.state) return;
  element.dataset.state = "loading";
  try {
    const found = await fetched(Number(element.dataset.from));
    element.replaceChildren(...[...found].slice(0, Number(element.dataset.count)));
    element.style.minHeight = "";
    element.dataset.state = "full";
    const at = element.getBoundingClientRect(); // who scrolls fast has left it behind while it was loading
    if (at.bottom < -FAR || at.top > innerHeight + FAR) empty(element);
  } catch {
    delete element.dataset.state;
  }
}

function empty(element) {
  if (element.dataset.state !== "full" || element.contains(document.activeElement)) return;
  element.style.minHeight = `${element.offsetHeight}px`;
  element.replaceChildren();
  delete element.dataset.state;
}

if (steps && Number(steps.dataset.total) > steps.children.length) {
  const total = Number(steps.dataset.total), first = Number(steps.dataset.first);
  const shown = [...steps.children];
  const own = box(first, shown.length, 0);
  own.append(...shown);
  own.dataset.state = "full";
  const height = Math.max(60, own.offsetHeight / Math.max(1, shown.length)) || 90;
  steps.append(own);
  for (let at = first - SIZE; at > -SIZE; at -= SIZE) {
    const from = Math.max(0, at), count = Math.min(SIZE, at + SIZE);
    steps.prepend(box(from, count, count * height));
  }
  for (let at = first + shown.length; at < total; at += SIZE) {
    const count = Math.min(SIZE, total - at);
    steps.append(box(at, count, count * height));
  }
  for (const link of document.querySelectorAll(".more-link")) link.hidden = true;
  own.scrollIntoView();
  const near = new IntersectionObserver((seen) => {
    for (const x of seen) if (x.isIntersecting) fill(x.target);
  }, { rootMargin: "1500px 0px" });
  const far = new IntersectionObserver((seen) => {
    for (const x of seen) if (!x.isIntersecting) empty(x.target);
  }, { rootMargin: `${FAR}px 0px` });
  for (const x of steps.children) { near.observe(x); far.observe(x); }
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) {
    history.scrollRestoration = "manual"; // a place in pixels means nothing while windows are empty; the event does
    wanted.scrollIntoView();
    addEventListener("load", () => wanted.scrollIntoView(), { once: true });
  }
}

// An event's number leads to the event wherever it is opened; on this page nothing has to be loaded for it.
document.addEventListener("click", (e) => {
  const link = e.target.closest("[data-event]");
  if (!link || e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  history.replaceState(null, "", link.href);
  for (const x of document.querySelectorAll(".step.named")) x.classList.remove("named");
  link.closest(".step").classList.add("named");
});

const named = /^#e([0-9]{1,9})$/.exec(location.hash);
if (named && steps && !document.getElementById(named[0].slice(1)) && Number(named[1]) < Number(steps.dataset.total)) {
  const url = new URL(location.href); // an address with the event alone: ask for the events around it
  if (url.searchParams.get("at") !== named[1]) { url.searchParams.set("at", named[1]); url.searchParams.delete("from"); location.replace(url); }
}

document.addEventListener("click", async (e) => {
  const link = e.target.closest("[data-rest]");
  if (!link || e.ctrlKey || e.metaKey) return;
  e.preventDefault();
  const url = new URL(link.href);
  url.searchParams.set("format", "json");
  if (!link.dataset.begun) { link.previousElementSibling?.remove(); link.dataset.begun = "1"; }
  const answer = await fetch(url, { credentials: "same-origin" });
  if (!answer.ok) return;
  const part = await answer.json();
  const text = document.createElement("bdi");
  text.className = "text";
  text.textContent = part.text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\u2400");
  link.before(text);
  if (part.next_start === null) { link.remove(); return; }
  const next = new URL(link.href);
  next.searchParams.set("start", part.next_start);
  link.href = next;
  link.textContent = `${Math.round((part.size - part.next_start) / 1000)}k more`;
});
