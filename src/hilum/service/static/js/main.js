// Which page is shown, and who looks at it.

import { api } from "./api.js";
import { complain, h, show } from "./dom.js";
import { studyPage } from "./study.js";
import { worklist } from "./worklist.js";

const HEALTH_MS = 5000;
const main = document.getElementById("main");
let leave = () => {};
let session = null;

async function route() {
  leave();
  leave = () => {};
  try {
    session = await api.session();
  } catch (error) {
    return complain(error);
  }
  drawWho();
  if (!session.name) return signInPage();
  const [path, options] = location.hash.slice(1).split("?");
  const found = /^\/study\/([0-9a-f]{32})$/.exec(path);
  leave = found
    ? studyPage(main, session, found[1], new URLSearchParams(options))
    : worklist(main, session);
}

function drawWho() {
  const out = h("button", { type: "button", onclick: () => api.signOut().then(route, complain) }, "Sign out");
  const shown = session.name && session.needs_token;
  show(document.getElementById("who"), shown ? [h("span", {}, `${session.name} (${session.role})`), out] : []);
}

function signInPage() {
  const token = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await api.signIn(token.value.trim());
      route();
    } catch (error) {
      complain(error);
    }
  };
  show(
    main,
    h(
      "form",
      { id: "sign-in", onsubmit: submit },
      h("label", { htmlFor: "token" }, "Token"),
      token,
      h("button", { type: "submit" }, "Sign in"),
      h("p", { className: "quiet" }, "Made by: hilum token DATA --add NAME"),
    ),
  );
  token.focus();
}

async function watchHealth() {
  const place = document.getElementById("trouble");
  try {
    const health = await api.health();
    place.textContent = health.trouble ?? "";
  } catch (error) {
    place.textContent = error.message;
  }
  place.hidden = !place.textContent;
  setTimeout(watchHealth, HEALTH_MS);
}

window.addEventListener("hashchange", route);
route();
watchHealth();
