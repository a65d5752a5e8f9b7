// What the page does by itself: live parts, uploads, dialogs, messages. Everything else is plain HTML and htmx.
(() => {
  "use strict";

  const texts = JSON.parse(document.getElementById("texts").textContent);
  const csrf = document.body.dataset.csrf;
  const text = (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

  // ------------------------------------------------------------ messages

  function toast(message, kind = "good") {
    const item = document.createElement("p");
    item.className = `toast ${kind}`;
    item.textContent = message;
    document.getElementById("toasts").append(item);
    setTimeout(() => item.remove(), kind === "bad" ? 12000 : 5000);
  }

  function messageOf(body, status) {
    try {
      return JSON.parse(body).error.message;
    } catch {
      return text("failed", { status });
    }
  }

  document.body.addEventListener("htmx:responseError", (event) => {
    const { responseText, status } = event.detail.xhr;
    toast(messageOf(responseText, status), "bad");
  });
  document.body.addEventListener("htmx:sendError", () => toast(text("unreachable"), "bad"));

  document.body.addEventListener("htmx:beforeSend", (event) => {
    const { elt, xhr } = event.detail;
    const { done, file, goto } = elt.dataset ?? {};
    // What the page shows is gone then.
    if (goto) xhr.addEventListener("load", () => xhr.status < 400 && location.assign(goto));
    if (!done) return;
    // The request itself is listened to: by its end the page may have replaced the button, and htmx's events go no further then.
    xhr.addEventListener("load", () => {
      if (xhr.status >= 400) {
        if (!elt.isConnected) toast(messageOf(xhr.responseText, xhr.status), "bad");
        return;
      }
      const answer = JSON.parse(xhr.responseText);
      // A replay that fails leaves what was there, and says why.
      if (answer.error) toast(answer.error, "bad");
      else toast(text(`done.${done}`, answer));
      announce({ id: Number(file), status: answer.status });
    });
  });

  // ------------------------------------------------------------ dialogs

  const dialog = document.getElementById("dialog");
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === dialog && !dialog.open) dialog.showModal();
  });
  // Bubbles after htmx has seen the click, so a button may both act and close.
  document.body.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });

  // ------------------------------------------------------------ times and numbers

  const formats = {
    number: new Intl.NumberFormat(document.documentElement.lang),
    one: new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1, minimumFractionDigits: 1 }),
    moment: new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }),
    clock: new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }),
  };

  function bytes(value) {
    const units = ["B", "KB", "MB", "GB", "TB"];
    let step = 0;
    for (; value >= 1024 && step < units.length - 1; step += 1) value /= 1024;
    return `${step && value < 100 ? formats.one.format(value) : formats.number.format(Math.round(value))} ${units[step]}`;
  }

  function seconds(value) {
    if (value < 1) return `${value < 0.01 ? formats.one.format(value * 1000) : formats.number.format(Math.round(value * 1000))} ms`;
    return value < 120 ? `${formats.one.format(value)} s` : `${formats.number.format(Math.round(value / 60))} min`;
  }

  const show = {
    bytes,
    seconds,
    number: (value) => formats.number.format(value),
    percent: (value) => `${formats.number.format(Math.round(value))} %`,
    text: (value) => String(value),
  };

  function localTimes(root) {
    for (const each of root.querySelectorAll("time[data-moment]")) {
      const moment = new Date(each.dateTime);
      if (Number.isNaN(moment.valueOf())) continue;
      const today = moment.toDateString() === new Date().toDateString();
      each.textContent = (today ? formats.clock : formats.moment).format(moment);
      each.title = moment.toLocaleString();
    }
  }
  localTimes(document);
  document.body.addEventListener("htmx:afterSettle", () => localTimes(document));

  // ------------------------------------------------------------ what changed

  const pending = new Set();
  let timer = null;

  function send(name) {
    pending.add(name);
    // Many files change at once when a folder arrives: the lists are fetched again twice a second at most.
    timer ??= setTimeout(() => {
      timer = null;
      const names = [...pending];
      pending.clear();
      for (const each of names) document.body.dispatchEvent(new CustomEvent(each));
    }, 500);
  }

  function announce(file) {
    send("levelpool:files");
    if (file.id) send(`levelpool:file-${file.id}`);
    if (["loaded", "partial", "undone"].includes(file.status)) send("levelpool:loaded");
  }

  function valueAt(object, path) {
    return path.split(".").reduce((inner, key) => inner?.[key], object);
  }

  let seen = 0;

  function fill(snapshot) {
    seen += 1;
    if (seen % 5 === 0) send("levelpool:tick");
    for (const each of document.querySelectorAll("[data-live]")) {
      const value = valueAt(snapshot, each.dataset.live);
      if (each.dataset.as === "value") {
        if (typeof value === "number") each.value = value;
      } else {
        each.textContent = value === null || value === undefined ? "–" : show[each.dataset.as || "text"](value);
      }
    }
    document.dispatchEvent(new CustomEvent("levelpool:snapshot", { detail: snapshot }));
  }

  // ------------------------------------------------------------ the stream

  const state = document.querySelector("[data-live-state]");
  let source = null;

  function say(kind) {
    if (!state) return;
    state.hidden = false;
    state.dataset.state = kind;
    state.querySelector("[data-live-text]").textContent = text(`live.${kind}`);
  }

  function listen() {
    source = new EventSource("/events");
    let missed = false;
    source.addEventListener("open", () => {
      say("on");
      if (missed) announce({});
      missed = false;
    });
    source.addEventListener("error", () => {
      missed = true;
      say("off");
      // A browser gives up after an answer that is no stream, such as 401 or 503, and does not tell which.
      if (source.readyState === EventSource.CLOSED) listenAgain();
    });
    source.addEventListener("files", (event) => {
      for (const file of JSON.parse(event.data)) {
        const bar = document.querySelector(`[data-progress="${file.id}"]`);
        if (bar && file.status === "running") {
          if (file.progress !== null) bar.value = file.progress;
        } else {
          announce(file);
        }
      }
    });
    source.addEventListener("snapshot", (event) => fill(JSON.parse(event.data)));
  }

  async function listenAgain() {
    const answer = await fetch("/api/datasets?limit=1").catch(() => null);
    if (answer?.status === 401) say("out");
    else setTimeout(() => document.hidden || listen(), 5000);
  }

  function follow() {
    // A browser allows few connections per service: a page nobody sees gives its one back.
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      const again = state && state.dataset.state;
      listen();
      if (again) announce({});
    }
  }

  if (csrf) {
    document.addEventListener("visibilitychange", follow);
    addEventListener("pagehide", () => source?.close());
    follow();
  }

  // ------------------------------------------------------------ uploads

  const waiting = [];
  let sending = 0;

  function upload(zone, file) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    const bar = document.createElement("progress");
    const word = document.createElement("span");
    name.className = "upload-name";
    name.textContent = file.name;
    bar.className = "progress";
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    word.className = "quiet";
    word.textContent = text("upload.waiting");
    item.append(name, bar, word);
    zone.querySelector("[data-uploads]").append(item);
    const limit = Number(zone.dataset.limit);
    if (file.size > limit) return refuse(item, text("upload.too_large", { size: bytes(file.size), limit: bytes(limit) }));
    if (file.size === 0) return refuse(item, text("upload.empty"));
    waiting.push({ zone, file, password: zone.querySelector("input[type=password]").value, dataset: zone.querySelector("[data-dataset]").value.trim(), item, bar, word });
    next();
  }

  function refuse(item, message) {
    item.querySelector("progress").remove();
    item.lastChild.className = "why";
    item.lastChild.textContent = message;
  }

  function uploadProblem({ status, responseText }) {
    if (!status) return text("unreachable");
    return status === 401 ? text("signed_out") : messageOf(responseText, status);
  }

  function next() {
    if (sending >= 2 || !waiting.length) return;
    const { zone, file, password, dataset, item, bar, word } = waiting.shift();
    const form = new FormData();
    if (dataset) form.append("dataset", dataset);
    if (password) form.append("password", password);
    form.append("file", file);
    const request = new XMLHttpRequest();
    sending += 1;
    word.textContent = "";
    request.open("POST", zone.action);
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
    });
    request.addEventListener("loadend", () => {
      sending -= 1;
      if (request.status === 202) {
        item.remove();
        toast(text("upload.done", { name: file.name }));
        announce({});
      } else {
        refuse(item, uploadProblem(request));
      }
      next();
    });
    request.send(form);
  }

  addEventListener("beforeunload", (event) => {
    // Whoever leaves now takes back what is not sent yet: the browser asks first.
    if (sending || waiting.length) event.preventDefault();
  });

  const zone = document.querySelector("[data-drop]");
  if (zone) {
    const chosen = zone.querySelector("input[type=file]");
    // Enter in the field of the dataset or the password goes on to the files, which carry it.
    zone.addEventListener("submit", (event) => {
      event.preventDefault();
      chosen.click();
    });
    chosen.addEventListener("change", (event) => {
      for (const file of event.target.files) upload(zone, file);
      event.target.value = "";
    });
    let depth = 0;
    const isFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragenter", (event) => {
      if (!isFiles(event)) return;
      depth += 1;
      zone.classList.add("over");
    });
    addEventListener("dragleave", (event) => {
      if (!isFiles(event)) return;
      depth -= 1;
      if (depth <= 0) zone.classList.remove("over");
    });
    addEventListener("dragover", (event) => {
      if (isFiles(event)) event.preventDefault();
    });
    addEventListener("drop", (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      depth = 0;
      zone.classList.remove("over");
      for (const file of event.dataTransfer.files) upload(zone, file);
    });
  }
})();
