// How a story waits: for what it needs, never for a time.
// Guarantees: every wait ends, with a message that names what was not seen; how long that may take is said here and nowhere else. A
// deadline costs time only where something fails, so it is one for a machine that has ten times as much to do as it can.
// Leaves out: what is waited for.
import { setTimeout as sleep } from 'node:timers/promises';

/** What a person does or sees has this long to come about. */
export const patience = 180_000;
/** After this long something is tried anew, in a loop that ends with the patience. */
export const moment = 8_000;

/** Tries until `look` answers something true. */
export async function eventually(what, look, milliseconds = patience) {
  let last;
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; await sleep(100)) {
    try {
      const found = await look();
      if (found) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`not seen within ${milliseconds / 1000} s: ${what}${last ? ` (${last.message})` : ''}`);
}

/** Waits until `look` gives the same twice: VS Code draws what a list has now in the lines that it had before. */
export async function settled(what, look) {
  let last;
  const rests = async () => {
    const now = JSON.stringify(await look());
    const isSame = now === last;
    last = now;
    return isSame;
  };
  // What goes away meanwhile never rests: then whoever asked tries anew.
  await eventually(`${what} rests`, rests, moment);
}

/**
 * One click, on what is there now; it fails where nothing can be clicked within a moment. Where only the answer to it is late, it was one:
 * what is clicked twice may be undone.
 */
export async function clickNow(target, options = {}) {
  try {
    await target.click({ timeout: moment, ...options });
  } catch (error) {
    const did = error.message.lastIndexOf('performing click action');
    if (did < 0 || error.message.lastIndexOf('intercepts pointer events') > did) {
      // What the mouse rests on may have brought up a hover, which covers it.
      await target.page().mouse.move(0, 0);
      throw error;
    }
  }
  return true;
}

/** Playwright stays with the element that it found first, also where VS Code has put another one in its place: it is looked for anew. */
export const click = (target, options) => eventually(`a click on ${target}`, () => clickNow(target, options));
