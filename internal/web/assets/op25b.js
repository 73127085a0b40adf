// Replaces the parts of the overview that have changed. Without this script the page is loaded again by its link.
"use strict";
(function () {
  var bar = document.getElementById("livebar"), state = document.getElementById("livestate"), when = document.getElementById("liveat"),
    announce = document.getElementById("announce"), button = document.getElementById("pause");
  if (!bar || !window.EventSource) return;
  bar.hidden = false;
  var paused = false, held = new Map(), source = null, last = "", told = "", toldAt = 0;
  function clock(at) { return new Date(at).toLocaleTimeString(document.documentElement.lang); }
  // say shows the state of the connection. Only the state is announced, and not the time, which changes every few seconds.
  function say(text) {
    if (held.size) text += " " + bar.dataset.held;
    if (state.textContent !== text) state.textContent = text;
    when.textContent = bar.dataset.at ? bar.dataset.sign + " " + clock(bar.dataset.at) : "";
  }
  // tell announces the headline if it has changed, at most twice a minute.
  function tell() {
    var headline = document.getElementById("headline"), text = headline ? headline.textContent.replace(/\s+/g, " ").trim() : "";
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
    if (e && e.data) bar.dataset.at = JSON.parse(e.data).at;
    flush(); // what waited for the focus, in a window that has lost it without an event
    bar.classList.toggle("lost", lost);
    document.body.classList.toggle("old", lost);
    say(text);
    if (!lost) tell();
  }
  function open() {
    source = new EventSource(last ? "/events?from=" + encodeURIComponent(last) : bar.dataset.events);
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
    source.onerror = function () { mark(null, true, bar.dataset.lost); };
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
  button.addEventListener("click", function () {
    paused = !paused;
    button.textContent = paused ? button.dataset.resume : button.dataset.pause;
    if (paused) { source.close(); say(bar.dataset.paused); } else { flush(); open(); }
  });
  tell();
  open();
})();
