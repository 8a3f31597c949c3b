// What the pages do beyond plain forms; each works without it.
"use strict";

// Copy what a button points at: <button data-copy="id">.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// Ask before a form is sent that cannot be undone: <form data-confirm="question">.
for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.confirm)) event.preventDefault(); });
}

// A form that takes a while says so, and cannot be sent twice: <form data-busy="Speaking …">.
for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", (event) => {
    const button = event.submitter || form.querySelector("button");
    setTimeout(() => { button.disabled = true; button.textContent = form.dataset.busy; });
  });
}

// Jobs that are under way: <tr data-job="/jobs/ID/state"> or <section data-job=...>, asked every two seconds.
async function watch(row) {
  try {
    const reply = await fetch(row.dataset.job, { headers: { accept: "application/json" } });
    if (!reply.ok) return;
    const job = await reply.json();
    const bar = row.querySelector("progress");
    if (bar) bar.value = job.progress;
    const badge = row.querySelector(".badge");
    if (badge) { badge.textContent = job.status; badge.className = `badge ${job.status}`; }
    const share = row.querySelector("[data-share]");
    if (share) share.textContent = `${job.progress} %`;
    if (job.over) { location.reload(); return; }
  } catch { /* the network is away for a moment */ }
  setTimeout(watch, 2000, row);
}
for (const row of document.querySelectorAll("[data-job]")) watch(row);

// A form whose parts depend on a choice: <select data-shows="prefix"> shows #prefix-VALUE and hides its siblings.
for (const select of document.querySelectorAll("select[data-shows]")) {
  const update = () => {
    for (const part of document.querySelectorAll(`[id^="${select.dataset.shows}-"]`)) {
      part.hidden = part.id !== `${select.dataset.shows}-${select.value}`;
    }
  };
  select.addEventListener("change", update);
  update();
}
