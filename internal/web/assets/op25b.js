// Replaces the parts of the overview that have changed. Without this script the page is loaded again by its link.
"use strict";
(function () {
  var bar = document.getElementById("livebar"), state = document.getElementById("livestate"), when = document.getElementById("liveat"),
    announce = document.getElementById("announce"), button = document.getElementById("pause");
  if (!bar || !window.EventSource) return;
  bar.hidden = false;
  var paused = false, held = new Map(), source = null, last = "", told = "", toldAt = 0;
  // say shows the state of the connection. Only the state is announced, and not the time, which changes every few seconds.
  function say(text) {
    if (held.size) text += " " + bar.dataset.held;
    if (state.textContent !== text) state.textContent = text;
    when.textContent = bar.dataset.at ? bar.dataset.sign + " " + bar.dataset.at : "";
  }
  // tell announces the headline, or the state of the rollout, if it has changed, at most twice a minute.
  function tell() {
    var headline = document.getElementById("headline") || document.querySelector("#rollout-state dd"), text = headline ? headline.textContent.replace(/\s+/g, " ").trim() : "";
    if (text === told) return;
    if (told && Date.now() - toldAt < 30000) return;
    if (told) announce.textContent = text;
    told = text;
    toldAt = Date.now();
  }
  // place puts a fragment in its place, unless the user's focus is in it: it then waits until the focus has left.
  function place(id, html) {
    var old = document.getElementById(id);
    if (old && old.contains(document.activeElement)) { held.set(id, html); return; }
    held.delete(id);
    if (html === "") { if (old) old.remove(); return; }
    var t = document.createElement("template");
    t.innerHTML = html;
    var next = t.content.firstElementChild;
    if (!next) return;
    if (old) { old.replaceWith(next); return; }
    var grid = document.getElementById("grid");
    if (grid && id.indexOf("cell-") === 0 && !grid.hasAttribute("data-filtered")) grid.append(next);
  }
  function flush() { held.forEach(function (html, id) { place(id, html); }); }
  document.addEventListener("focusout", function () { if (!paused) setTimeout(flush, 0); });
  // mark shows whether the values are current.
  function mark(e, lost, text) {
    if (e && e.lastEventId) last = e.lastEventId;
    if (e && e.data) bar.dataset.at = JSON.parse(e.data).text;
    flush(); // what waited for the focus, in a window that has lost it without an event
    bar.classList.toggle("lost", lost);
    document.body.classList.toggle("old", lost);
    say(text);
    if (!lost) tell();
  }
  function open() {
    source = new EventSource(last ? bar.dataset.events.replace(/from=.*/, "from=" + encodeURIComponent(last)) : bar.dataset.events);
    source.addEventListener("fragment", function (e) {
      var f = JSON.parse(e.data);
      last = e.lastEventId;
      place(f.id, f.html);
    });
    source.addEventListener("beat", function (e) { mark(e, false, bar.dataset.connected); });
    source.addEventListener("old", function (e) { mark(e, true, bar.dataset.old); });
    source.addEventListener("reload", function () {
      source.close();
      remember();
      location.reload();
    });
    source.onerror = function () {
      mark(null, true, bar.dataset.lost);
      if (source.readyState === EventSource.CLOSED && !paused) setTimeout(function () { if (!paused && source.readyState === EventSource.CLOSED) open(); }, 10000); // the browser gives up after an answer other than 200
    };
  }
  // remember keeps the focus over a reload that the user did not ask for.
  function remember() {
    var a = document.activeElement, key = a && (a.id ? "#" + CSS.escape(a.id) : a.getAttribute("href") ? 'a[href="' + CSS.escape(a.getAttribute("href")) + '"]' : "");
    try { if (key) sessionStorage.setItem("focus", key); } catch (_) {}
  }
  try {
    var key = sessionStorage.getItem("focus"), target = key && document.querySelector(key);
    sessionStorage.removeItem("focus");
    if (target) target.focus({ preventScroll: true });
  } catch (_) {}
  // A screen on a wall shows one view after the other: not while it is paused, while the focus is in a view, or for people who want no motion.
  var views = document.querySelectorAll("[data-view]"), next = document.getElementById("next"), wall = document.getElementById("wallstate"), at = 0;
  var still = window.matchMedia("(prefers-reduced-motion: reduce)");
  function show(i) {
    at = i % views.length;
    views.forEach(function (v, j) { v.hidden = !still.matches && j !== at; });
    next.hidden = still.matches;
    var numbers = [at + 1, views.length];
    wall.textContent = still.matches ? "" : wall.dataset.text.replace(/%d/g, function () { return numbers.shift(); });
  }
  if (wall) {
    show(0);
    still.addEventListener("change", function () { show(at); });
    next.addEventListener("click", function () { show(at + 1); });
    setInterval(function () {
      if (!paused && !still.matches && !document.activeElement.closest("[data-view]")) show(at + 1);
    }, wall.dataset.every * 1000);
  }
  button.addEventListener("click", function () {
    paused = !paused;
    button.textContent = paused ? button.dataset.resume : button.dataset.pause;
    if (paused) { source.close(); say(bar.dataset.paused); } else { flush(); open(); }
  });
  tell();
  open();
})();
