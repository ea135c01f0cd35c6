// Runs before the page's own scripts, and notes when Chromium has painted something; page_browser.py asks it.

const QUIET_MS = 400; // without another stroke on a chart: all of them are drawn

/** Calls back once what has changed so far is painted: in a frame's callback the painting is next, a message comes after. */
function painted(done) {
  requestAnimationFrame(() => {
    const after = new MessageChannel();
    after.port1.onmessage = done;
    after.port2.postMessage(0);
  });
}

const rest = () => new Promise((resolve) => setTimeout(resolve, 50));

window.bench = {
  drawn: 0, // when the last stroke on a chart was painted; 0: none was

  /** When an element of a selector with a text was painted: by the page's time and by the clock, ms. */
  when(selector, text) {
    return new Promise((resolve) => {
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

  async allDrawn() {
    while (!bench.drawn || performance.now() - bench.drawn < QUIET_MS) await rest();
  },

  /** Presses a button that loads charts: how long from the press, and from the last answer, until they were painted. */
  async draws(button) {
    performance.clearResourceTimings();
    const began = performance.now();
    button.click();
    let arrived = 0;
    do {
      await rest();
      await bench.allDrawn();
      const asked = performance.getEntriesByType("resource").filter(({ name, startTime }) => name.includes("/series?") && startTime >= began);
      arrived = Math.max(0, ...asked.map((one) => one.responseEnd));
    } while (!arrived || bench.drawn < arrived);
    return { press: bench.drawn - began, data: bench.drawn - arrived };
  },

  async go(hash) {
    document.querySelector(".screen").classList.add("left");
    location.hash = hash;
    while (!document.querySelector(".screen:not(.left) h1") || document.querySelector(".loading")) await rest();
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
