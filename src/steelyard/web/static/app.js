// What every page gets when scripts may run: keyboard, help, copying, theme, and parts that follow a live run.
// A page works without it. Elements say what they want:
//   data-key="x" data-says="What it does"   key x clicks it (or focuses a field); listed by `?`
//   data-go="x"                             keys g x open the link
//   data-row                                j and k move among rows, Enter opens the row's first link
//   data-poll="2"                           with an id: fetched again every 2 seconds while the tab is seen
//   data-copy                               clicking copies its text

const typing = (e) => e.target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]");

export function rows() { return [...document.querySelectorAll("[data-row]")].filter((r) => r.offsetParent !== null); }

export function move(step) {
  const all = rows();
  if (!all.length) return;
  const now = all.findIndex((r) => r.classList.contains("here"));
  const next = Math.max(0, Math.min(all.length - 1, now < 0 ? (step > 0 ? 0 : all.length - 1) : now + step));
  if (now >= 0) all[now].classList.remove("here");
  all[next].classList.add("here");
  all[next].scrollIntoView({ block: "nearest" });
  const link = all[next].querySelector("a, button");
  if (link) link.focus({ preventScroll: true });
}

function press(element) {
  if (element.matches("input, textarea, select")) { element.focus(); if (element.select) element.select(); } else element.click();
}

let going = 0;
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
  if (e.key === "Escape" && typing(e)) { e.target.blur(); return; }
  if (typing(e) || document.querySelector("dialog[open]")) return;
  if (going && Date.now() - going < 1500) {
    going = 0;
    const link = document.querySelector(`[data-go="${CSS.escape(e.key)}"]`);
    if (link) { e.preventDefault(); link.click(); }
    return;
  }
  if (e.key === "g") { going = Date.now(); return; }
  if (e.key === "j" || e.key === "k") { move(e.key === "j" ? 1 : -1); e.preventDefault(); return; }
  const found = [...document.querySelectorAll(`[data-key="${CSS.escape(e.key)}"]`)].find((x) => !x.disabled && !x.hidden);
  if (found) { e.preventDefault(); press(found); }
});

function help() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Keyboard");
  const list = document.createElement("dl");
  const add = (keys, says) => {
    const term = document.createElement("dt");
    for (const k of keys) { const kbd = document.createElement("kbd"); kbd.textContent = k; term.append(kbd, " "); }
    const what = document.createElement("dd");
    what.textContent = says;
    list.append(term, what);
  };
  if (rows().length) add(["j", "k"], "Next and previous row; Enter opens it");
  const seen = new Set();
  for (const x of document.querySelectorAll("[data-key][data-says]")) {
    if (x.hidden || seen.has(x.dataset.key)) continue;
    seen.add(x.dataset.key);
    add([x.dataset.key], x.dataset.says);
  }
  for (const x of document.querySelectorAll("[data-go]")) add(["g", x.dataset.go], x.textContent.trim());
  add(["Esc"], "Close, or leave a field");
  const title = document.createElement("h2");
  title.textContent = "Keyboard";
  const close = document.createElement("button");
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.append(title, list, close);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

for (const button of document.querySelectorAll("[data-help]")) { button.hidden = false; button.addEventListener("click", help); }

for (const button of document.querySelectorAll("[data-theme-toggle]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `steelyard_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
    document.dispatchEvent(new CustomEvent("steelyard:theme"));
  });
}

document.addEventListener("click", (e) => {
  const code = e.target.closest("[data-copy]");
  if (!code || !navigator.clipboard) return;
  navigator.clipboard.writeText(code.textContent).then(() => {
    code.classList.add("copied");
    setTimeout(() => code.classList.remove("copied"), 800);
  }, () => {});
});

async function refresh(element) {
  const answer = await fetch(location.href, { credentials: "same-origin", headers: { accept: "text/html" } });
  if (!answer.ok) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(element.id);
  if (!fresh) return element;
  const here = rows().findIndex((r) => r.classList.contains("here"));
  const top = element.querySelector(".scroll")?.scrollLeft ?? 0;
  element.replaceWith(fresh);
  for (const part of document.querySelectorAll("[data-follow][id]")) { // what else tells of the same run
    const now = page.getElementById(part.id);
    if (now && !part.contains(document.activeElement)) part.replaceWith(now);
  }
  const scroller = fresh.querySelector(".scroll");
  if (scroller) scroller.scrollLeft = top;
  if (here >= 0) rows()[here]?.classList.add("here");
  document.dispatchEvent(new CustomEvent("steelyard:fresh", { detail: fresh }));
  return fresh;
}

async function follow(element) {
  let wait = Number(element.dataset.poll) * 1000;
  while (element.dataset.poll) {
    await new Promise((go) => setTimeout(go, wait));
    if (document.hidden || element.contains(document.activeElement)) continue;
    try {
      element = await refresh(element);
      wait = Number(element.dataset.poll || 0) * 1000;
    } catch {
      wait = Math.min(30000, wait * 2); // the server went away: ask less and less often
    }
  }
}

for (const element of document.querySelectorAll("[data-poll][id]")) follow(element);
