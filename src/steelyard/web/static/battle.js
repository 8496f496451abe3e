// Keys of a battle: a, b, t, x belong to the vote here, so the theme's t gives way; a vote is sent once.

for (const x of document.querySelectorAll("[data-theme-toggle]")) x.removeAttribute("data-key");

for (const form of document.querySelectorAll("form.ballot, form.labels")) {
  let sent = false;
  form.addEventListener("submit", (e) => {
    if (sent) { e.preventDefault(); return; }
    sent = true;
    form.classList.add("sent");
  });
}

// A rubric by digits: the marked point (the first without an answer, until j or k move the mark) takes the digit's label,
// and the mark goes on to the next point without one; after the last the button has the focus.
const points = [...document.querySelectorAll("fieldset[data-point]")];
const answered = (point) => point.querySelector("input:checked") !== null;

function mark(point) {
  for (const other of points) other.classList.toggle("here", other === point);
  if (point) point.scrollIntoView({ block: "nearest" });
}

if (points.length) {
  for (const hint of document.querySelectorAll(".byscript")) hint.hidden = false;
  for (const point of points) point.addEventListener("focusin", () => mark(point));
  mark(points.find((point) => !answered(point)) ?? points[0]);
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    if (!/^[0-9]$/.test(e.key) || e.target.closest("textarea, select, input:not([type=radio])")) return;
    const now = points.findIndex((point) => point.classList.contains("here"));
    const choice = points[now]?.querySelectorAll("input[type=radio]")[e.key === "0" ? 9 : Number(e.key) - 1];
    if (!choice) return;
    e.preventDefault();
    choice.checked = true;
    const next = points.find((point, i) => i > now && !answered(point)) ?? points.find((point) => !answered(point));
    if (next) { mark(next); next.querySelector("input").focus({ preventScroll: true }); }
    else { mark(null); choice.form.querySelector("button.primary").focus(); }
  });
}

// after going back in the browser's history the form may be used again: the server knows whether it was voted on
window.addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });
