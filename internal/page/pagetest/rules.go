package pagetest

// colours is the part of a script that computes colours and their contrasts (WCAG 2.2, relative luminance and contrast ratio).
const colours = `
  const colour = (text) => { const m = text.match(/[\d.]+/g).map(Number); return m.length > 3 && m[3] === 0 ? null : m; };
  const lum = (c) => { const f = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const back = (el) => { for (; el; el = el.parentElement) { const c = colour(getComputedStyle(el).backgroundColor); if (c) return c; } return [255, 255, 255]; };
  const contrast = (a, b) => { const x = lum(a), y = lum(b); return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); };`

// Rules is a script that checks a page against rules of WCAG 2.2 and returns the violations. It checks the names of controls (4.1.2), the
// order of headings (1.3.1), one h1 and one main (2.4.1), the language (3.1.1), the contrast of text (1.4.3), no overflow at this width
// (1.4.10), and the size of targets (2.5.8).
const Rules = `(() => {` + colours + `
  const bad = [], say = (el, what) => bad.push(what + ": " + el.outerHTML.slice(0, 120));
  if (!document.documentElement.lang) bad.push("no language");
  if (document.querySelectorAll("h1").length !== 1 || document.querySelectorAll("main").length !== 1) bad.push("not one h1 and one main");
  let level = 0;
  for (const h of document.querySelectorAll("h1,h2,h3,h4")) { const n = +h.tagName[1]; if (n > level + 1) say(h, "heading order"); level = n; }
  const named = (el) => (el.getAttribute("aria-label") || (el.labels && el.labels.length && el.labels[0].textContent) || el.textContent || el.title || "").trim();
  for (const el of document.querySelectorAll("a,button,input:not([type=hidden]),select")) if (!named(el)) say(el, "no name");
  for (const el of document.querySelectorAll("table")) if (!el.querySelector("th[scope=col]")) say(el, "table without column headers");
  const ids = new Set();
  for (const el of document.querySelectorAll("[id]")) { if (ids.has(el.id)) say(el, "id twice"); ids.add(el.id); }
  for (const el of document.querySelectorAll("[aria-labelledby],[aria-describedby]")) for (const a of ["aria-labelledby", "aria-describedby"]) for (const id of (el.getAttribute(a) || "").split(" ")) if (id && !document.getElementById(id)) say(el, a + " of nothing");
  for (const el of document.querySelectorAll("body *")) {
    const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !el.offsetParent || el.closest(".hide,.skip")) continue;
    const ratio = contrast(colour(getComputedStyle(el).color) || [0, 0, 0], back(el));
    if (ratio < 4.5) say(el, "contrast " + ratio.toFixed(2));
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) bad.push("overflow: " + document.documentElement.scrollWidth + " of " + innerWidth);
  for (const el of document.querySelectorAll("button,input:not([type=hidden]),select,.grid a,nav a")) { const r = el.getBoundingClientRect(); if (r.width && (r.height < 24 || r.width < 24)) say(el, "target " + r.width + "x" + r.height); }
  return bad;
})()`
