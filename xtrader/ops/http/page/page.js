"use strict";
// The page of a running recorder. Rule: what the server says is put in as text, never as markup; when nobody answers, it says so.
(() => {
  const $ = (id) => document.getElementById(id);
  const ROW = 30, EXTRA = 8, SHOWN = 8;
  const SIGNS = { live: "●", syncing: "◐", gap: "✕", rejected: "⊘", silent: "…", shallow: "◒", single: "◑" };
  const RANK = { rejected: 0, gap: 1, silent: 2, syncing: 3, shallow: 4, single: 5 };
  let told = null, answered = 0, firstMiss = 0, skew = 0;
  let every = [], rows = [], chosen = "", opened = "", stream = null, day = null, hour = null;

  const make = (tag, text, name) => {
    const one = document.createElement(tag);
    if (text !== undefined) one.textContent = text;
    if (name) one.className = name;
    return one;
  };
  const put = (id, text) => { const one = $(id); if (one.textContent !== text) one.textContent = text; };
  const now = () => Date.now() + skew;
  const clock = (ms) => {
    const text = new Date(ms).toISOString();
    return (now() - ms > 43200000 ? text.slice(5, 10) + " " : "") + text.slice(11, 19);
  };
  const span = (ms) => {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60 ? (s % 60) + " s" : "");
    if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
    return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
  };
  const since = (ms) => ms ? clock(ms) + " UTC, " + span(now() - ms).trim() : "";
  const short = (ms) => { const s = ms / 1000; return s < 0 ? "0 s" : s < 10 ? s.toFixed(1) + " s" : span(ms).split(" ").slice(0, 2).join(" "); };
  const bytes = (n) => { if (n === null || n === undefined) return ""; let u = 0; while (n >= 1024 && u < 5) { n /= 1024; u++; } return (n < 10 && u ? n.toFixed(1) : Math.round(n)) + " " + ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][u]; };
  const secs = (s) => s === null || s === undefined ? "–" : s < 0.001 ? Math.round(s * 1e6) + " µs" : s < 1 ? (s * 1000).toFixed(s < 0.01 ? 1 : 0) + " ms" : s.toFixed(1) + " s";
  const count = (n) => n === null || n === undefined ? "–" : n >= 1000 ? Math.round(n).toLocaleString("en") : String(Math.round(n * 10) / 10);

  function verdict() {
    const silent = Date.now() - answered;
    if (!answered || silent > 6000) {
      const from = answered ? answered + skew : firstMiss;
      return ["blind", "?", from ? "BLIND since " + clock(from) + " UTC" : "Asking the recorder …", from ? "Nobody answers at " + location.host + " for " + span(now() - from).trim() + ": the recorder has ended, or cannot be reached. What is below is what was known then." : ""];
    }
    const facts = told.facts;
    if (!facts) return ["blind", "?", "BLIND: " + (told.error || "nothing is known yet"), "The page is served, but the recorder has not told anything."];
    if (told.stopping) return ["warn", "■", "STOPPING: " + told.stopping, "Nothing more is recorded."];
    if (!told.alive) return ["blind", "?", "BLIND since " + clock(facts.ts) + " UTC", "The recorder has told nothing for " + span(now() - facts.ts).trim() + (told.error ? ": " + told.error : "") + ". What is below is what was known then."];
    const ill = every.filter((one) => one.blocks).length, blocking = told.wrong.filter((one) => one[4]);
    const live = count(facts.live) + " of " + count(facts.wanted) + " subscriptions live";
    const full = blocking.find((one) => one[1] === "full");
    if (full) return ["ill", "✕", "NOT RECORDING: the disk or the journal is full", full[3]];
    if (facts.wanted && !facts.live) return ["ill", "✕", "NOT RECORDING: no subscription is live", blocking.length ? blocking[0][0] + ": " + blocking[0][3] : ""];
    if (ill) return ["ill", "!", "RECORDING, but " + count(ill) + (ill === 1 ? " subscription is ill" : " subscriptions are ill"), live];
    if (blocking.length) return ["ill", "!", "RECORDING, but " + blocking[0][0] + ": " + blocking[0][1], blocking[0][3]];
    const noted = told.wrong.length;
    return [noted ? "warn" : "well", noted ? "!" : "✓", "RECORDING, all " + count(facts.wanted) + " subscriptions live", (told.ready_since ? "Ready since " + since(told.ready_since) : "") + (noted ? "; " + noted + " to note" : "")];
  }

  function head() {
    const [name, mark, words, more] = verdict();
    if ($("verdict").className !== name) $("verdict").className = name;
    document.body.classList.toggle("blind", name === "blind");
    put("mark", mark); put("headline", words); put("subline", more);
    document.title = (name === "well" ? "" : mark + " ") + "xtrader" + (told && told.facts ? " " + told.facts.collector : "");
    const facts = told && told.facts;
    put("who", facts ? facts.collector + " on " + facts.host + "\nxtrader " + facts.version + ", running since " + since(facts.started) : "");
  }

  function troubles() {
    const list = document.createDocumentFragment();
    const found = told ? told.wrong.slice().sort((a, b) => (b[4] - a[4]) || ((RANK[a[1]] ?? -1) - (RANK[b[1]] ?? -1)) || (a[2] - b[2])) : [];
    for (const [subject, kind, from, words, blocks] of found.slice(0, SHOWN)) {
      const item = make("li", undefined, blocks ? "" : "noted");
      item.append(make("span", kind, "kind"), make("span", subject, "subject"), make("span", from ? "since " + since(from) : "", "since"), make("span", words, "about"));
      list.append(item);
    }
    if (found.length > SHOWN) list.append(make("li", "and " + count(found.length - SHOWN) + " more, which stand first in the table", "more"));
    $("troubles").replaceChildren(list);
  }

  function sort() {
    const wrong = new Map();
    for (const one of told.wrong) if (!wrong.has(one[0])) wrong.set(one[0], one);
    every = told.facts.subscriptions.map((one) => {
      const bad = wrong.get(one[0]);
      return { name: one[0], state: bad ? bad[1] : one[1], since: bad && bad[2] ? bad[2] : one[2], why: bad ? [one[1] === "live" ? "" : one[3], bad[3]].filter((w, n, all) => w && all.indexOf(w) === n).join(": ") : "", rate: one[5], last: one[6], limit: one[7], gaps: Object.values(one[8]).reduce((a, b) => a + b, 0), causes: one[8], resyncs: one[9], connections: one[11], book: one[12], cause: one[3], ill: Boolean(bad), blocks: Boolean(bad && bad[4]) };
    });
    every.sort((a, b) => (b.ill - a.ill) || (a.ill ? ((RANK[a.state] ?? 9) - (RANK[b.state] ?? 9)) || (a.since - b.since) : 0) || (a.name < b.name ? -1 : 1));
  }

  function choose() {
    const wanted = $("filter").value.trim().toUpperCase().split(/\s+/).filter(Boolean);
    rows = wanted.length ? every.filter((one) => { const text = (one.name + " " + one.state + " " + one.why).toUpperCase(); return wanted.every((w) => text.includes(w)); }) : every;
    put("count", rows.length === every.length ? count(every.length) : count(rows.length) + " of " + count(every.length));
    $("space").style.height = rows.length * ROW + "px";
    draw();
  }

  const pool = [];
  function row(n) {
    if (pool[n]) return pool[n];
    const one = make("div", undefined, "row"), cells = {};
    one.setAttribute("role", "row");
    for (const name of ["name", "state", "since", "rate", "age", "gaps", "strip", "why"]) {
      const cell = make("span", undefined, name);
      cell.setAttribute("role", "cell");
      cells[name] = cell; one.append(cell);
    }
    const canvas = make("canvas"); cells.strip.append(canvas);
    one.addEventListener("click", () => { pick(one.dataset.name); open(one.dataset.name); });
    $("space").append(one);
    return pool[n] = { one, cells, canvas, drawn: "" };
  }
  const say = (cell, text) => { if (cell.textContent !== text) { cell.textContent = text; cell.title = text; } };

  function draw() {
    const box = $("rows"), first = Math.max(0, Math.floor(box.scrollTop / ROW) - EXTRA);
    const end = Math.min(rows.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + EXTRA);
    for (let n = first; n < end; n++) {
      const sub = rows[n], { one, cells } = row(n - first), shown = pool[n - first];
      one.hidden = false; one.style.top = n * ROW + "px"; one.dataset.name = sub.name;
      one.setAttribute("aria-rowindex", n + 2);
      one.className = "row" + (sub.name === chosen ? " chosen" : "");
      say(cells.name, sub.name); say(cells.state, (SIGNS[sub.state] || "!") + " " + sub.state);
      cells.state.className = "state t-" + sub.state;
      say(cells.since, clock(sub.since) + (sub.ill ? " " + short(now() - sub.since) : ""));
      say(cells.rate, sub.rate.toFixed(1)); say(cells.age, sub.last ? short(now() - sub.last) : "–");
      say(cells.gaps, sub.gaps ? String(sub.gaps) : ""); cells.gaps.title = causes(sub);
      say(cells.why, sub.why); strip(shown, sub.name);
    }
    for (let n = end - first; n < pool.length; n++) pool[n].one.hidden = true;
  }
  const causes = (sub) => Object.entries(sub.causes).map(([cause, n]) => n + " × " + cause).join(", ");

  function strip(shown, name) {
    const text = day && day.strips[name] || "", width = shown.canvas.clientWidth;
    if (!width || shown.drawn === text + width + scheme.matches) return;
    shown.drawn = text + width + scheme.matches;
    const [pen, w, h] = canvasOf(shown.canvas, 18), style = getComputedStyle(document.documentElement);
    const heights = { ".": 2, l: 8, s: 13, g: 18 }, colours = { ".": "--u", l: "--l", s: "--s", g: "--g" };
    for (let n = 0; n < 96; n++) {
      const letter = text[n] || ".", x = Math.floor(n * w / 96);
      pen.fillStyle = style.getPropertyValue(colours[letter]);
      pen.fillRect(x, h - heights[letter], Math.max(1, Math.floor((n + 1) * w / 96) - x), heights[letter]);
    }
    shown.canvas.setAttribute("role", "img");
    shown.canvas.setAttribute("aria-label", [...text].filter((l) => l === "g").length + " quarters of an hour with a gap, " + [...text].filter((l) => l === "l").length + " all live");
  }
  function canvasOf(canvas, height) {
    const ratio = window.devicePixelRatio || 1, w = canvas.clientWidth, pen = canvas.getContext("2d");
    canvas.width = w * ratio; canvas.height = height * ratio; pen.scale(ratio, ratio); pen.clearRect(0, 0, w, height);
    return [pen, w, height];
  }

  function pick(name) {
    chosen = name;
    const at = rows.findIndex((one) => one.name === name), box = $("rows");
    if (at >= 0 && at * ROW < box.scrollTop) box.scrollTop = at * ROW;
    if (at >= 0 && (at + 1) * ROW > box.scrollTop + box.clientHeight) box.scrollTop = (at + 1) * ROW - box.clientHeight;
    draw();
  }
  function open(name) {
    shut(); opened = name;
    const key = name.slice(name.indexOf(":") + 1);
    put("chosen", name); story(); $("live").hidden = false; put("standing", "Asking for the book …");
    $("ladder").tBodies[0].replaceChildren(); $("tape").tBodies[0].replaceChildren();
    stream = new EventSource("/live?book=" + encodeURIComponent(key));
    stream.onmessage = (event) => ladder(JSON.parse(event.data));
    stream.onerror = () => put("standing", "No answer for the book; asking again.");
    if (window.matchMedia("(max-width: 1200px)").matches) $("detail").scrollIntoView({ block: "nearest" });
  }
  function shut() { if (stream) stream.close(); stream = null; opened = ""; $("live").hidden = true; }
  function story() {
    const sub = every.find((one) => one.name === opened);
    if (!sub) return;
    const lines = [(SIGNS[sub.state] || "!") + " " + sub.state + " since " + since(sub.since) + (sub.why ? ": " + sub.why : "")];
    lines.push("last message " + (sub.last ? short(now() - sub.last) + " ago" : "not known") + ", " + sub.rate.toFixed(1) + "/s" + (sub.limit ? "; usual silence up to " + secs(sub.limit) : ""));
    lines.push((sub.gaps ? sub.gaps + (sub.gaps === 1 ? " gap (" : " gaps (") + causes(sub) + ")" : "no gap") + " and " + sub.resyncs + " resyncs since the start; on " + sub.connections.join(", "));
    put("story", lines.join("\n"));
  }
  function ladder(book) {
    $("live").classList.toggle("stale", book.state !== "live");
    if (book.error) { put("standing", book.error); return; }
    const body = document.createDocumentFragment(), size = (n) => n >= 1000 ? Math.round(n).toLocaleString("en") : String(Number(n.toPrecision(6)));
    const line = (bid, price, ask) => { const tr = make("tr"); tr.append(make("td", bid, "bid"), make("td", price), make("td", ask, "ask")); body.append(tr); };
    if (book.asks.length || book.bids.length) {
      for (const [price, n] of book.asks.slice(0, 10).reverse()) line("", String(price), size(n));
      const middle = make("tr", undefined, "middle"), cell = make("td", book.asks.length && book.bids.length ? "spread " + Number((book.asks[0][0] - book.bids[0][0]).toPrecision(6)) : "one side is empty");
      cell.colSpan = 3; middle.append(cell); body.append(middle);
      for (const [price, n] of book.bids.slice(0, 10)) line(size(n), String(price), "");
    }
    $("ladder").tBodies[0].replaceChildren(body);
    const words = { absent: "No book is recorded of it", stalled: "The recorder is not writing", stopped: "The recorder has stopped" }[book.state] || "Book " + book.state;
    put("standing", words + (book.since && book.state !== "absent" ? " since " + clock(book.since) + " UTC" : "") + (book.cause && book.state !== "live" ? ", " + book.cause : "") + (book.detail && book.state !== "absent" ? ": " + book.detail : ""));
    const tape = document.createDocumentFragment();
    for (const [side, price, n, ts] of book.trades) { const tr = make("tr"); tr.append(make("td", clock(ts)), make("td", side, side), make("td", String(price)), make("td", size(n))); tape.append(tr); }
    $("tape").tBodies[0].replaceChildren(tape);
  }

  function grid(id, heads, lines) {
    const table = document.createDocumentFragment(), top = make("tr");
    for (const head of heads) top.append(make("th", head));
    table.append(top);
    for (const line of lines) {
      const tr = make("tr");
      for (const cell of line) tr.append(Array.isArray(cell) ? make("td", cell[0], cell[1]) : make("td", cell));
      table.append(tr);
    }
    $(id).replaceChildren(table);
  }
  function parts() {
    const f = told.facts, of = (worker) => worker === null ? "" : " of worker " + worker;
    grid("venues", ["venue", "live", "msg/s", "lag", "lag 99 %", "clock", "REST"], f.exchanges.map((one) => [one.name + (one.environment === "production" ? "" : " (" + one.environment + ")"), [one.live + " of " + one.wanted, one.live < one.wanted ? "t-gap" : ""], count(one.rate), secs(one.lag), secs(one.late), one.offset === null ? "–" : secs(Math.abs(one.offset)) + (one.offset > 0 ? " ahead" : " behind"), one.rest === null ? "–" : Math.round(one.rest * 100) + " %"]));
    const stores = f.journals.map((one) => ["journal" + of(one.worker), [one.room ? "✓ has room" : "✕ full", one.room ? "t-live" : "t-full"], bytes(one.bytes) + " of " + bytes(one.bytes_max), bytes(one.free) + " free", "commit 99 % " + secs(one.commit), ["", "text"]]);
    for (const one of f.sinks) stores.push([one.name + of(one.worker), one.alive && !one.error ? ["✓ takes rows", "t-live"] : [one.alive ? "✕ failing" : "✕ gone", "t-gone"], bytes(one.behind_bytes) + " behind", secs(one.behind_seconds) + " behind", count(one.rows) + " rows", [[one.error, one.set_aside ? one.set_aside + " set aside" : "", one.restarts ? one.restarts + " restarts" : ""].filter(Boolean).join("; "), "text"]]);
    grid("stores", ["", "", "", "", "", ""], stores);
    const order = f.connections.slice().sort((a, b) => (a[2] === "open") - (b[2] === "open"));
    grid("connections", ["connection", "state", "since", "carries", "lost", "last error"], order.slice(0, 40).map(([name, host, state, from, carries, lost, error]) => [name, [(state === "open" ? "● " : "✕ ") + state, state === "open" ? "t-live" : "t-waiting"], from ? clock(from) : "", count(carries), count(lost), [error || host, "text"]]));
    grid("processes", ["process", "pid", "CPU", "memory", "loop late 99 %"], f.processes.map(([name, worker, pid, cpu, memory, loop]) => [name + of(worker), String(pid), cpu === null ? "–" : span(cpu * 1000), bytes(memory), secs(loop)]));
  }

  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  function plots() {
    if (!hour) return;
    const style = getComputedStyle(document.documentElement), end = now(), from = end - 3600000;
    for (const canvas of document.querySelectorAll("#plots canvas")) {
      const names = canvas.dataset.names.split(","), unit = canvas.dataset.unit, [pen, w, h] = canvasOf(canvas, 74);
      const values = names.flatMap((name) => hour[name].filter((v) => v !== null)), top = Math.max(...values, unit === "s" ? 0.001 : 1);
      const format = (v) => unit === "B" ? bytes(v) : unit === "s" ? secs(v) : count(v);
      pen.strokeStyle = style.getPropertyValue("--line"); pen.fillStyle = style.getPropertyValue("--dim"); pen.font = "10px system-ui, sans-serif";
      pen.beginPath(); pen.moveTo(0, h - 12.5); pen.lineTo(w, h - 12.5); pen.moveTo(0, 8.5); pen.lineTo(w, 8.5); pen.stroke();
      pen.fillText(format(top), 2, 19); pen.fillText(clock(from).slice(-8, -3), 2, h - 2); pen.textAlign = "right"; pen.fillText("now", w - 2, h - 2); pen.textAlign = "left";
      names.forEach((name, n) => {
        pen.strokeStyle = style.getPropertyValue(n ? "--plot2" : "--plot"); pen.lineWidth = 1.6; pen.setLineDash(n ? [4, 3] : []); pen.beginPath();
        let before = 0;
        hour.ts.forEach((ts, at) => {
          const v = hour[name][at], x = (ts - from) / 3600000 * w;
          if (v === null || ts < from) { before = 0; return; }
          const y = h - 12 - v / top * (h - 22);
          if (before && ts - before < 20000) pen.lineTo(x, y); else { pen.moveTo(x - 1, y); pen.lineTo(x, y); }
          before = ts;
        });
        pen.stroke(); pen.setLineDash([]);
      });
      const label = $("p-" + names[names.length - 1]) || $("p-" + names[0]);
      label.textContent = names.map((name) => { const v = hour[name][hour[name].length - 1]; return v === undefined ? "–" : format(v); }).join(" / ");
      canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", "highest " + format(top));
    }
  }

  async function ask(path) {
    const answer = await fetch(path, { signal: AbortSignal.timeout(5000), cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  }
  async function turn() {
    try {
      const got = await ask("/page.json");
      told = got; answered = Date.now(); skew = got.now - answered;
      if (told.facts) { sort(); choose(); parts(); if (opened) story(); }
      troubles();
    } catch { if (!answered && !firstMiss) firstMiss = Date.now(); }
    head();
    setTimeout(turn, document.hidden ? 10000 : 2000);
  }
  async function slow() {
    try { [day, hour] = await Promise.all([ask("/day.json"), ask("/hour.json")]); draw(); plots(); } catch { /* The headline says it. */ }
    setTimeout(slow, document.hidden ? 60000 : 10000);
  }
  setInterval(head, 1000);
  $("filter").addEventListener("input", choose);
  $("rows").addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  $("close").addEventListener("click", () => { shut(); put("chosen", "Choose a subscription"); put("story", ""); $("rows").focus(); });
  window.addEventListener("resize", () => { draw(); plots(); });
  scheme.addEventListener("change", () => { draw(); plots(); });
  document.addEventListener("keydown", (event) => {
    const typing = document.activeElement === $("filter");
    if (event.key === "/" && !typing) { event.preventDefault(); $("filter").focus(); $("filter").select(); return; }
    if (event.key === "Escape") { if (typing) { $("filter").value = ""; choose(); $("rows").focus(); } else $("close").click(); return; }
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 };
    if (event.key in steps && rows.length) {
      event.preventDefault();
      const at = rows.findIndex((one) => one.name === chosen);
      pick(rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + steps[event.key]))].name);
      if (!typing) $("rows").focus();
    } else if (event.key === "Enter" && chosen && (typing || document.activeElement === $("rows"))) open(chosen);
  });
  turn(); slow();
})();
