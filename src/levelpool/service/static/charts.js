// The live charts: the last two minutes of the stream, one point a second.
(() => {
  "use strict";

  const POINTS = 120;
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  if (!figures.length || !window.uPlot) return;

  const valueAt = (object, path) => path.split(".").reduce((inner, key) => inner?.[key], object);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

  const charts = figures.map((figure) => {
    const series = JSON.parse(figure.dataset.chart);
    return { figure, series, plot: null, data: [[], ...series.map(() => [])] };
  });

  function draw(chart) {
    const holder = chart.figure.querySelector("[data-plot]");
    chart.plot?.destroy();
    const line = color("--line");
    const quiet = color("--quiet");
    const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    chart.plot = new uPlot(
      {
        width: holder.clientWidth,
        height: 150,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 8, 0, 0],
        scales: {
          // Always two whole minutes, so that the first points do not fill the chart.
          x: { time: true, range: (_, low, high) => { const end = high || Date.now() / 1000; return [end - POINTS, end]; } },
          y: { range: (_, low, high) => [0, Math.max(chart.series[0].least || 1, (high || 0) * 1.15)] },
        },
        axes: [{ ...axis, space: 90, size: 26, values: (_, ticks) => ticks.map((at) => clock.format(at * 1000)) }, { ...axis, size: 46, space: 34 }],
        series: [
          {},
          ...chart.series.map((each) => ({
            label: each.label,
            stroke: color(each.color),
            fill: each.fill ? color(each.fill) : undefined,
            width: 1.8,
            points: { show: false },
          })),
        ],
      },
      chart.data,
      holder,
    );
  }

  function drawAll() {
    for (const chart of charts) draw(chart);
  }

  drawAll();
  document.addEventListener("levelpool:theme", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  new ResizeObserver(() => {
    for (const { plot, figure } of charts) {
      const width = figure.querySelector("[data-plot]").clientWidth;
      if (width && Math.abs(width - plot.width) > 1) plot.setSize({ width, height: 150 });
    }
  }).observe(document.getElementById("main"));

  document.addEventListener("levelpool:snapshot", (event) => {
    const at = Date.parse(event.detail.at) / 1000 || Date.now() / 1000;
    for (const chart of charts) {
      chart.data[0].push(at);
      chart.series.forEach((each, index) => {
        const value = valueAt(event.detail, each.path);
        chart.data[index + 1].push(typeof value === "number" ? value * (each.times || 1) : null);
      });
      for (const values of chart.data) if (values.length > POINTS) values.shift();
      chart.plot.setData(chart.data);
    }
  });
})();
