// Replaces the parts of the overview that have changed. Without this script the page is loaded again by its link.
"use strict";
(function () {
  var bar = document.getElementById("livebar"), state = document.getElementById("livestate"), button = document.getElementById("pause");
  if (!bar || !window.EventSource) return;
  bar.hidden = false;
  var paused = false, held = new Map(), source = null, last = "";
  function clock(at) { return new Date(at).toLocaleTimeString(document.documentElement.lang); }
  function say(text) { if (state.textContent !== text) state.textContent = text; }
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
  function open() {
    source = new EventSource(last ? "/events?from=" + encodeURIComponent(last) : bar.dataset.events);
    source.addEventListener("fragment", function (e) {
      var f = JSON.parse(e.data);
      last = e.lastEventId;
      place(f.id, f.html);
    });
    source.addEventListener("beat", function (e) {
      last = e.lastEventId;
      flush(); // what waited for the focus, in a window that has lost it without an event
      say(bar.dataset.connected + " " + clock(JSON.parse(e.data).at));
      bar.classList.remove("lost");
      bar.dataset.at = JSON.parse(e.data).at;
    });
    source.addEventListener("reload", function () { source.close(); location.reload(); });
    source.onerror = function () {
      bar.classList.add("lost");
      say(bar.dataset.lost + " " + clock(bar.dataset.at || Date.now()));
    };
  }
  button.addEventListener("click", function () {
    paused = !paused;
    button.textContent = paused ? button.dataset.resume : button.dataset.pause;
    if (paused) { source.close(); say(bar.dataset.paused + " " + clock(bar.dataset.at || Date.now())); } else { flush(); open(); }
  });
  open();
})();
