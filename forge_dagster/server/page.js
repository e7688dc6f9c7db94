const at = id => document.getElementById(id);
let token = "", served = null, running = null;

async function call(path, body, signal) {
  const headers = token ? {Authorization: `Bearer ${token}`} : {};
  if (body) headers["Content-Type"] = "application/json";
  const reply = await fetch(path, {method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal});
  if (reply.ok) return reply;
  if (reply.status === 401) at("sign").hidden = false;
  const said = await reply.json().catch(() => null);
  throw new Error(said ? said.error.message.replaceAll("\n", "; ") : `The server answers ${reply.status}.`);
}

async function meet() {
  try {
    served = (await (await call("/v1/models")).json()).data[0];
  } catch (error) {
    at("label").textContent = error.message;
    return;
  }
  at("sign").hidden = true;
  document.title = at("name").textContent = served.id;
  at("release").textContent = served.release;
  const {sensitivity, audience, permitted_use: use, jurisdictions, retention} = served.label;
  at("label").textContent = `Terms: ${sensitivity}; for ${audience.join(", ") || "nobody"}; permitted use ` +
    `${use.join(", ") || "none"}; law of ${jurisdictions.join(", ")}${retention ? `; to be retired after ${retention}` : ""}.`;
}

async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let held = "";;) {
    const {value, done} = await reader.read();
    if (done) return;
    held += value;
    for (let end; (end = held.indexOf("\n\n")) >= 0; held = held.slice(end + 2)) {
      const data = held.slice(6, end);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

async function ask(question) {
  const turn = at("turn").content.cloneNode(true).firstElementChild, find = name => turn.querySelector(name);
  find(".question").textContent = question;
  at("talk").append(turn);
  turn.scrollIntoView({block: "end"});
  running = new AbortController();
  at("send").disabled = true;
  at("stop").hidden = false;
  let response = null, end = null;
  try {
    const body = {model: served.id, messages: [{role: "user", content: question}], stream: true};
    for await (const event of events(await call("/v1/chat/completions", body, running.signal))) {
      if (event.error) throw new Error(event.error.message);
      response = event.id;
      find(".answer").append(event.choices[0].delta.content || "");
      end = event.choices[0].finish_reason || end;
      find(".from").textContent = `Written by ${event.system_fingerprint}${end === "length" ? "; cut off where the context ends" : ""}`;
    }
  } catch (error) {
    const stopped = error.name === "AbortError";
    find(".from").textContent = stopped ? "Stopped." : error.message;
    if (!stopped) find(".from").className = "failed";
  }
  turn.classList.remove("writing");
  at("send").disabled = false;
  at("stop").hidden = true;
  if (end === null) return;
  rate(find(".rating"), response);
  await trace(find(".trace"), response);
}

async function trace(place, response) {
  place.textContent = "Looking through the training documents …";
  let found;
  try {
    found = await (await call("/trace", {response})).json();
  } catch (error) {
    place.textContent = `No trace: ${error.message}`;
    return;
  }
  if (!found.matches.length) {
    place.textContent = "No training document shares five words in a row with this answer.";
    return;
  }
  const list = document.createElement("ul");
  for (const match of found.matches) {
    const line = document.createElement("li"), path = document.createElement("code"), words = document.createElement("q");
    path.textContent = `${match.source}/${match.path}`;
    words.textContent = match.spans[0].text;
    line.append(path, ` ${match.spans[0].words} words: `, words);
    list.append(line);
  }
  const note = document.createElement("p");
  note.className = "soft";
  note.textContent = found.note;
  place.replaceChildren("Training documents with the same words:", list, note);
}

function rate(place, response) {
  const text = place.querySelector("textarea"), may = place.querySelector("input"), give = place.querySelector(".give");
  const marks = [...place.querySelectorAll("[data-rating]")], {days, keeps_prompts: keeps} = served.feedback;
  let rating = 0;
  place.hidden = false;
  place.querySelector(".consent").textContent = keeps
    ? `I agree: the rating and, where it shows a better and a worse answer, the question and both answers are kept for ${days} days and may train the next model.`
    : `I agree: the rating is kept for ${days} days. Question and answer are not.`;
  for (const mark of marks) mark.onclick = () => {
    rating = Number(mark.dataset.rating);
    for (const each of marks) each.setAttribute("aria-pressed", each === mark);
    place.querySelector(".opinion").hidden = false;
    text.hidden = rating > 0 || !keeps;
  };
  may.onchange = () => { give.disabled = !may.checked; };
  give.onclick = async () => {
    const better = rating < 0 && keeps && text.value.trim();
    try {
      await call("/feedback", {response, rating, consent: true, ...(better ? {text: better} : {})});
      place.replaceChildren("Thank you: it is kept.");
    } catch (error) {
      place.querySelector(".thanks").textContent = error.message;
    }
  };
}

at("ask").onsubmit = event => {
  event.preventDefault();
  const question = at("question").value.trim();
  if (!question || at("send").disabled || !served) return;
  at("question").value = "";
  ask(question);
};
at("question").onkeydown = event => {
  if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); at("ask").requestSubmit(); }
};
at("stop").onclick = () => running.abort();
at("sign").onsubmit = event => { event.preventDefault(); token = at("token").value; meet(); };
meet();
