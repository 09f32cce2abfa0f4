// The "what if" panels: what was imagined beforehand, shown for the state and the actions that are chosen.
"use strict";
(() => {
  const svg = "http://www.w3.org/2000/svg";
  const make = (name, attributes = {}, ...inside) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  };
  const board = (id) => {
    const [, , width, height] = document.getElementById(id).getAttribute("viewBox").split(" ").map(Number);
    const drawn = document.createElementNS(svg, "svg"), use = document.createElementNS(svg, "use");
    drawn.setAttribute("class", "board");
    drawn.setAttribute("viewBox", `-0.06 -0.06 ${width + 0.12} ${height + 0.12}`);
    drawn.setAttribute("aria-hidden", "true");
    use.setAttribute("href", "#" + id);
    use.setAttribute("width", width);
    use.setAttribute("height", height);
    drawn.append(use);
    return drawn;
  };
  const group = (title, name, options, chosen, changed, kind = "") => {
    const choices = make("div", { class: "choices " + kind });
    options.forEach(([value, ...shown]) => {
      const input = make("input", { type: "radio", name, value });
      input.checked = value === chosen;
      input.addEventListener("change", () => changed(value));
      choices.append(make("label", {}, input, make("span", {}, ...shown)));
    });
    return make("fieldset", {}, make("legend", {}, title), choices);
  };
  const lines = (side, other) => {
    const found = side.c.map((text) => [text, !other.c.includes(text)]);
    if (!found.length) found.push(["nothing changes", other.c.length > 0]);
    if (side.r) found.push([`reward ${side.r}`, side.r !== other.r]);
    if (side.e) found.push(["the episode ends", !other.e]);
    if (!side.a) found.push(["forbidden", other.a]);
    return make("ul", {}, ...found.map(([text, isNew]) => make("li", isNew ? { class: "new" } : {}, text)));
  };

  for (const data of document.querySelectorAll(".whatif-data")) {
    const key = data.dataset.key, panel = document.querySelector(`.whatif[data-key="${key}"]`);
    const { actions, depth, rules, states } = JSON.parse(data.textContent);
    const best = (state) => {
      const keys = Object.keys(state.cases);
      const differs = (k) => JSON.stringify(state.cases[k].l) !== JSON.stringify(state.cases[k].r);
      return (keys.find(differs) || keys[0]).split(".").slice(0, 1);
    };
    let at = 0, chosen = best(states[0]);
    const pickers = make("div"), futures = make("div", { "aria-live": "polite" });

    const showPickers = () => {
      const focused = document.activeElement && document.activeElement.name;
      pickers.replaceChildren();
      const shown = states.map((s, i) => [String(i), ...(s.board ? [board(s.board), make("span", { class: "visually-hidden" }, s.title)] : [s.label])]);
      pickers.append(group("In this state", `${key}-state`, shown, String(at), (value) => {
        at = Number(value);
        chosen = best(states[at]);
        showPickers();
        showFutures();
      }, states[0].board ? "boards" : ""));
      for (let step = 0; step < Math.min(depth, chosen.length + 1); step++) {
        const options = actions.map((name, i) => [String(i), name]);
        if (step) options.unshift(["", "stop there"]);
        pickers.append(group(step ? "then" : "do", `${key}-step${step}`, options, chosen[step] ?? "", (value) => {
          chosen = [...chosen.slice(0, step), ...(value === "" ? [] : [value])];
          showPickers();
          showFutures();
        }));
      }
      const again = focused && pickers.querySelector(`input[name="${CSS.escape(focused)}"]:checked`);
      if (again) again.focus();
    };
    const showFutures = () => {
      const state = states[at], found = state.cases[chosen.join(".")];
      const same = JSON.stringify(found.l) === JSON.stringify(found.r);
      const column = (title, side, other, kind) =>
        make("div", { class: kind }, make("h3", {}, title), ...(side.b ? [board(side.b)] : []), lines(side, other));
      const now = make("div", { class: "now" }, make("h3", {}, "now"), ...(state.board ? [board(state.board)] : []),
        make("ul", {}, ...state.scalars.map(([name, value]) => make("li", {}, `${name} ${value}`))));
      const verdict = same ? "The rules change nothing of what is imagined here." : "The rules change what is imagined.";
      const why = found.f.map((i) => make("li", {}, make("code", {}, rules[i])));
      futures.replaceChildren(
        make("div", { class: "futures" }, now, column("learned only", found.l, found.l, "learned"),
          column("with the rules", found.r, found.l, same ? "refined" : "refined changed")),
        make("p", { class: same ? "verdict same" : "verdict" }, verdict),
        make("ul", { class: "why", "aria-label": "Rules that fired on the last step" }, ...why));
    };
    panel.append(pickers, futures);
    showPickers();
    showFutures();
    panel.hidden = false;
    panel.parentElement.querySelector("details.static").open = false;
  }
})();
