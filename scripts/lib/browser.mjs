// A Chromium for the tests: the one that CHROME_PATH names, the one on PATH, else the distribution's.
// Guarantees: says the way out where none can be had. Leaves out: downloads from anywhere but the distribution.
import { existsSync, readdirSync } from 'node:fs';
import { Failure, find, run } from './run.mjs';

export const chromium = () => process.env.CHROME_PATH || find('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable');
const hasFonts = () => process.platform !== 'linux' || (existsSync('/usr/share/fonts') && readdirSync('/usr/share/fonts').length > 0);

export async function installChromium(options) {
  if (chromium() && hasFonts()) return;
  const missing = [...(chromium() ? [] : ['chromium']), ...(hasFonts() ? [] : ['fonts-dejavu-core'])];
  const root = process.getuid?.() === 0;
  const prefix = root ? [] : ['sudo', '-n'];
  if (!find('apt-get') || (!root && !find('sudo'))) {
    throw new Failure(`The end-to-end tests need ${missing.join(' and ')}: install it, or let CHROME_PATH name a Chromium or Chrome.`);
  }
  const apt = (...words) => {
    const [command, ...args] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', ...words];
    return run(command, args, options);
  };
  try {
    await apt('update');
    await apt('install', '-y', '--no-install-recommends', ...missing);
  } catch (error) {
    throw new Failure(
      `${missing.join(' and ')} could not be installed with apt-get: install it by hand, or set CHROME_PATH.\n${error.message}`,
    );
  }
}
