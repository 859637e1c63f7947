// Draws the figures of a page, in the page's colours; without this script its tables say the same.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function themed(layout) {
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const axis = { gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line"), automargin: true };
    const own = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") },
      colorway: [colour("--accent"), colour("--second"), colour("--good"), colour("--bad"), colour("--muted")],
      margin: { l: 56, r: 16, t: 16, b: 48 },
      ...layout,
    };
    for (const name of ["xaxis", "yaxis", "xaxis2", "yaxis2"]) {
      if (name in own || !name.endsWith("2")) own[name] = { ...axis, ...own[name] };
    }
    return own;
  }

  // Colours of data are names of the page's own, so that they follow light and dark.
  function coloured(trace) {
    const own = { ...trace };
    for (const part of ["marker", "line"]) {
      const name = own[part]?.color;
      if (typeof name === "string" && name.startsWith("--")) {
        const color = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
        own[part] = { ...own[part], color };
      }
    }
    return own;
  }

  function draw(figure) {
    const parsed = JSON.parse(figure.querySelector("script").textContent);
    const { layout } = parsed;
    const data = parsed.data.map(coloured);
    figure.hidden = false;
    const canvas = figure.querySelector(".canvas");
    const options = { displayModeBar: false, responsive: true };
    return Plotly.react(canvas, data, themed(layout), options);
  }

  const figures = [...document.querySelectorAll("figure.plot")];
  const drawAll = () => figures.forEach(draw);
  drawAll();
  dark.addEventListener("change", drawAll);
})();
