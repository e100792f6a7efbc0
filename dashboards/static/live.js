// The live page: takes frames from the server, keeps a model of the screen, and draws it unless paused.
"use strict";

(() => {
  const body = document.body;
  const words = JSON.parse(body.dataset.words);
  const linesBody = document.getElementById("lines");
  const barsBody = document.getElementById("bars");
  const lineTemplate = document.getElementById("line-template");
  const barTemplate = document.getElementById("bar-template");
  const link = document.getElementById("link");
  const linkWord = document.getElementById("link-word");
  const pauseButton = document.getElementById("pause");
  const clock = document.getElementById("now");
  const news = document.getElementById("news");

  const model = { lines: new Map(), order: [], left: new Map(), hours: {}, figures: {}, regions: [], bars: [], at: 0 };
  const drawn = new Map([...linesBody.rows].map((row) => [row.dataset.id, row]));
  let received = 0; // performance.now() of the last frame
  let paused = false;
  let connected = false;
  let lampsTold = "";

  const fill = (words_, places) => words_.replace(/\{(\w+)\}/g, (_, name) => places[name]);
  const two = (number) => String(number).padStart(2, "0");
  const set = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  // China has kept UTC+8 without summer time since 1992; the reader's own time zone does not matter.
  const legal = (milliseconds) => new Date(milliseconds + 8 * 3600000);

  function leftWords(left, late, frame) {
    const seconds = Math.abs(left);
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor((seconds % 3600) / 60);
    let told;
    if (hours >= 48 && frame === "") told = fill(words["time.days"], { d: Math.floor(hours / 24), h: hours % 24 });
    else if (hours >= 100) told = fill(words["time.long"], { h: hours });
    else if (hours) told = fill(words["time.hours"], { h: hours, min: two(minutes) });
    else told = fill(words["time.minutes"], { min: minutes, s: two(seconds % 60) });
    return fill(words[late || left < 0 ? "time.late" : "time.left"], { t: told });
  }

  function dueWords(iso) {
    const at = legal(Date.parse(iso));
    return fill(words["time.due"], {
      month: at.getUTCMonth() + 1,
      day: at.getUTCDate(),
      time: `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`,
    });
  }

  // Seconds by which the clocks of a calendar have moved since the last frame.
  function passed(frame) {
    const elapsed = (performance.now() - received) / 1000;
    if (frame === "") return elapsed;
    const hours = model.hours[frame];
    if (!hours) return 0;
    return hours.running ? Math.min(elapsed, hours.change) : Math.max(0, elapsed - hours.change);
  }

  function drawLeft(row, line) {
    const known = model.left.get(line.id);
    if (!known) return;
    const left = Math.floor(known.left - passed(line.frame));
    set(row.querySelector(".left"), leftWords(left, known.late, line.frame));
  }

  function drawLine(row, line) {
    row.dataset.id = line.id;
    row.dataset.lamp = line.lamp;
    const lamp = row.querySelector(".lamp");
    lamp.dataset.lamp = line.lamp;
    set(lamp.querySelector(".word"), words[`lamp.${line.lamp}`]);
    set(row.querySelector(".clock"), words[`clock.${line.clock}`] ?? line.clock);
    row.querySelector(".natural").hidden = line.frame !== "";
    set(row.querySelector(".due"), dueWords(line.due));
    const badge = row.querySelector(".line");
    badge.dataset.line = line.line;
    set(badge, line.line);
    set(row.querySelector(".no"), line.no);
    row.querySelector(".danger").hidden = !line.danger;
    row.querySelector(".reflow").hidden = !line.reflow;
    set(row.querySelector(".title"), line.title || words["mark.untitled"]);
    row.querySelector(".c-title").title = line.title;
    set(row.querySelector(".unit"), line.unit);
    row.querySelector(".c-unit").title = line.unit;
    set(row.querySelector(".region"), line.region);
    const stage = row.querySelector(".stage");
    stage.dataset.stage = line.stage;
    set(stage, words[`stage.${line.stage}`] ?? line.stage);
    const rungs = row.querySelector(".rungs");
    rungs.dataset.level = line.level;
    set(rungs.querySelector(".word"), line.level ? `L${line.level}` : "—");
    set(rungs.querySelector(".unseen"), line.level ? fill(words["mark.level"], { level: line.level }) : words["mark.none"]);
    row.querySelector(".c-left").title =
      `${dueWords(line.due)} · ${words[line.frame === "" ? "mark.natural" : "mark.working"]}`;
  }

  function drawLines(first) {
    const wanted = new Set(model.order);
    for (const [id, row] of drawn) {
      if (!wanted.has(id)) {
        row.remove();
        drawn.delete(id);
      }
    }
    let place = linesBody.firstElementChild;
    for (const id of model.order) {
      const line = model.lines.get(id);
      let row = drawn.get(id);
      if (!row) {
        row = lineTemplate.content.firstElementChild.cloneNode(true);
        drawn.set(id, row);
        if (!first) row.classList.add("fresh");
      }
      drawLine(row, line);
      drawLeft(row, line);
      if (row === place) place = place.nextElementSibling;
      else linesBody.insertBefore(row, place);
    }
    document.getElementById("empty").hidden = model.order.length > 0;
  }

  function drawRegions() {
    for (const region of model.regions) {
      const tile = document.querySelector(`[data-region="${region.code}"]`);
      if (!tile) continue;
      tile.dataset.heat = region.heat;
      set(tile.querySelector(".open"), String(region.open));
      for (const lamp of ["red", "amber"]) {
        const badge = tile.querySelector(`.badge.${lamp}`);
        badge.hidden = !region[lamp];
        set(badge.querySelector(".n"), String(region[lamp]));
      }
    }
  }

  function drawBars() {
    const most = Math.max(1, ...model.bars.map((bar) => bar.red + bar.amber));
    while (barsBody.rows.length > model.bars.length) barsBody.lastElementChild.remove();
    model.bars.forEach((bar, index) => {
      const row = barsBody.rows[index] ?? barsBody.appendChild(barTemplate.content.firstElementChild.cloneNode(true));
      set(row.querySelector("th"), bar.name);
      const red = (100 * bar.red) / most;
      row.querySelector("rect.red").setAttribute("width", red);
      row.querySelector("rect.amber").setAttribute("x", red);
      row.querySelector("rect.amber").setAttribute("width", (100 * bar.amber) / most);
      for (const lamp of ["red", "amber"]) {
        const badge = row.querySelector(`.badge.${lamp}`);
        badge.hidden = !bar[lamp];
        set(badge.querySelector(".n"), String(bar[lamp]));
      }
    });
    document.getElementById("no-bars").hidden = model.bars.length > 0;
  }

  function draw(first) {
    if (paused) return;
    drawLines(first);
    drawRegions();
    drawBars();
    for (const place of document.querySelectorAll("[data-figure]")) {
      set(place, String(model.figures[place.dataset.figure] ?? 0));
    }
    const lamps = fill(words["link.changed"], { red: model.figures.red ?? 0, amber: model.figures.amber ?? 0 });
    if (lampsTold && lamps !== lampsTold) set(news, lamps); // read aloud only when it changes
    lampsTold = lamps;
  }

  function take(event) {
    const frame = JSON.parse(event.data);
    if (!frame.step) model.lines.clear();
    for (const line of frame.lines) model.lines.set(line.id, line);
    if (frame.order) {
      model.order = frame.order;
      const kept = new Set(frame.order);
      for (const id of model.lines.keys()) if (!kept.has(id)) model.lines.delete(id);
    }
    model.left = new Map(model.order.map((id, index) => [id, { left: frame.left[index], late: frame.late[index] }]));
    Object.assign(model, {
      hours: frame.hours, figures: frame.figures, regions: frame.regions, bars: frame.bars, at: Date.parse(frame.at),
    });
    received = performance.now();
    const first = !body.dataset.position;
    draw(first);
    body.dataset.position = frame.position;
    tell();
  }

  function tell() {
    const state = paused ? "paused" : connected ? "live" : "lost";
    link.dataset.state = state;
    set(linkWord, words[`link.${state}`]);
  }

  function tick() {
    if (paused || !received) return;
    for (const id of model.order) {
      const row = drawn.get(id);
      if (row) drawLeft(row, model.lines.get(id));
    }
    const at = legal(model.at + performance.now() - received);
    set(clock, `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`);
  }

  function pause(wanted) {
    paused = wanted;
    pauseButton.setAttribute("aria-pressed", String(paused));
    set(pauseButton, words[paused ? "link.resume" : "link.pause"]);
    tell();
    if (!paused && received) draw(false);
  }

  pauseButton.hidden = false;
  pauseButton.addEventListener("click", () => pause(!paused));
  document.addEventListener("keydown", (event) => {
    if (event.altKey && !event.ctrlKey && !event.metaKey && event.code === "KeyP" && !event.isComposing) {
      event.preventDefault();
      pause(!paused);
    }
  });

  const stream = new EventSource(body.dataset.live);
  stream.addEventListener("open", () => {
    connected = true;
    tell();
  });
  stream.addEventListener("error", () => {
    connected = false;
    tell();
  });
  stream.addEventListener("frame", take);
  setInterval(tick, 1000);
})();
