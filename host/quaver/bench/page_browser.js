// Runs before the page's own scripts, and notes when Chromium has painted something; page_browser.py asks it.

const QUIET_MS = 400; // without another stroke on a chart: all of them are drawn
const MOST_MS = 60_000; // that anything is waited for

/** Calls back once what has changed so far is painted: in a frame's callback the painting is next, a message comes after. */
function painted(done) {
  requestAnimationFrame(() => {
    const after = new MessageChannel();
    after.port1.onmessage = done;
    after.port2.postMessage(0);
  });
}

/** Waits until something is so. */
async function until(test, what) {
  const end = performance.now() + MOST_MS;
  while (!test()) {
    if (performance.now() > end) throw new Error(`not ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

window.bench = {
  drawn: 0, // when the last stroke on a chart was painted; 0: none was

  /** When an element of a selector with a text was painted: by the page's time and by the clock, ms. */
  when(selector, text) {
    return new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`no ${selector} with ${text}`)), MOST_MS);
      const seen = new MutationObserver(look);
      function look() {
        if (![...document.querySelectorAll(selector)].some((one) => one.textContent.includes(text))) return;
        seen.disconnect();
        painted(() => resolve({ page: performance.now(), clock: performance.timeOrigin + performance.now() }));
      }
      seen.observe(document, { childList: true, subtree: true, characterData: true });
      look();
    });
  },

  allDrawn: () => until(() => bench.drawn && performance.now() - bench.drawn > QUIET_MS, "drawn"),

  /** Presses a button that loads charts: how long from the press, and from the last answer, until they were painted. */
  async draws(button) {
    performance.clearResourceTimings();
    const began = performance.now();
    button.click();
    let arrived = 0;
    await until(() => {
      const asked = performance.getEntriesByType("resource").filter(({ name, startTime }) => name.includes("/series?") && startTime >= began);
      arrived = Math.max(0, ...asked.map((one) => one.responseEnd));
      return arrived && bench.drawn > arrived && performance.now() - bench.drawn > QUIET_MS;
    }, "drawn");
    return { press: bench.drawn - began, data: bench.drawn - arrived };
  },

  async go(hash) {
    document.querySelector(".screen").classList.add("left");
    location.hash = hash;
    await until(() => document.querySelector(".screen:not(.left) h1") && !document.querySelector(".loading"), hash);
  },
};

let waits = false;
for (const name of ["stroke", "fill", "fillRect", "fillText", "putImageData"]) {
  const draw = CanvasRenderingContext2D.prototype[name];
  CanvasRenderingContext2D.prototype[name] = function (...all) {
    if (!waits) {
      waits = true;
      painted(() => { waits = false; bench.drawn = performance.now(); });
    }
    return draw.apply(this, all);
  };
}
bench.nodes = bench.when(".node-row", "");
bench.nodes.catch(() => {}); // a screen without nodes
