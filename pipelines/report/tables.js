"use strict";
// Builds what is on the screen. Text gets in as text, never as HTML.

const DASH = "–";
const FEW = 10;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function put(id, ...children) {
  document.getElementById(id).replaceChildren(...children);
}

// A number as shown, with its exact value for whoever copies or tests it.
function figure(exact, shown) {
  return exact === null ? DASH : element("data", { value: exact }, shown ?? grouped(exact));
}

function creditsOf(total, scale) {
  if (!total.counts.has("credits")) return DASH;
  return figure(decimal(total.credits, scale, scale), grouped(decimal(total.credits, scale, 2)));
}

function countOf(total, name, counts) {
  return counts && !total.counts.has(counts) ? DASH : figure(String(total[name]));
}

function usersOf(total) {
  return report.users === null ? DASH : countOf(total, "users");
}

function swatch(platform) {
  return element("span", { class: `swatch slot-${slotOf(platform)}`, "aria-hidden": "true" });
}

function named(report, platform) {
  return element("span", { class: "named" }, swatch(platform), bidi(report.platforms[platform]));
}

function botName(bot) {
  return element("bdi", { class: "bot" }, bot.name);
}

function bidi(text) {
  return element("bdi", {}, text);
}

function bar(percent) {
  const filled = element("span", { class: "filled" });
  filled.style.width = `${Math.max(0, Math.min(percent, 100))}%`;
  const track = element("span", { class: "track", "aria-hidden": "true" }, filled);
  return element("span", { class: "share" }, track, `${percent} %`);
}

// columns: [title, class]; rows: arrays of cells. More than FEW rows come on demand. Roles are
// spelled out, because a row that folds on a phone would lose them.
function table(target, caption, columns, rows, empty, few = FEW) {
  const head = columns.map(([title, kind]) => element("th",
    { scope: "col", role: "columnheader", class: kind || null }, title));
  const body = element("tbody", { role: "rowgroup" });
  const show = (all) => body.replaceChildren(...(all ? rows : rows.slice(0, few)).map(
    (row) => tableRow(row, columns)));
  show(rows.length <= few + 2 || target.dataset.all === "yes");
  if (!rows.length) body.append(
    element("tr", {}, element("td", { colspan: columns.length, class: "quiet" }, empty)));
  target.replaceChildren(element("caption", { class: "unseen" }, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...head)), body);
  target.setAttribute("role", "table");
  moreButton(target, rows.length, few, show);
}

function tableRow(row, columns) {
  return element("tr", { role: "row" }, ...row.map((cell, i) => element(i ? "td" : "th", {
    ...(i ? { role: "cell" } : { role: "rowheader", scope: "row" }),
    class: `${columns[i][1]} ${cell === DASH ? "nil" : ""}`.trim() || null, "data-label": columns[i][2] ?? columns[i][0],
  }, cell)));
}

function moreButton(target, number, few, show) {
  const place = target.parentElement;
  place.parentElement.querySelector(".more")?.remove();
  if (number <= few + 2) return;
  const button = element("button", { type: "button", class: "more" });
  const tell = () => {
    const all = target.dataset.all === "yes";
    button.setAttribute("aria-expanded", all);
    button.textContent = all ? `Show the first ${few}` : `Show all ${number}`;
  };
  button.addEventListener("click", () => {
    target.dataset.all = target.dataset.all === "yes" ? "no" : "yes";
    show(target.dataset.all === "yes");
    tell();
  });
  tell();
  place.after(button);
}

function tiles(report, total) {
  const each = total.counted && total.counts.has("credits")
    ? mean(total.counters, report.cells.scale, total.counted) : null;
  const all = [
    ["Credits", "credits", creditsOf(total, report.cells.scale), "spent in the period"],
    ["Conversations", "conversations", countOf(total, "conversations"), "last active in it"],
    ["Users", "users", usersOf(total),
      report.users !== null ? "in these conversations" : "too many to tell apart in a page"],
    ["Messages", "messages", countOf(total, "messages", "messages"), "in these conversations"],
    ["With a person", "with_a_person", countOf(total, "with_a_person", "people"),
      "taken over from the bot"],
    ["Credits a conversation", "each", figure(each), "mean of these"],
  ];
  put("tiles", ...all.map(([title, id, shown, note]) => element("div", { class: "tile" },
    element("dt", {}, title),
    element("dd", { id: `tile-${id}`, class: "value" }, shown),
    element("dd", { class: "quiet" }, note))));
}
