// Checks what must be on the machine before anything can be built, and says the way out where something is missing.
// Guarantees: needs nothing but Node itself. Leaves out: installing tools for the user.
import { Failure, find, output } from './run.mjs';

const wayOut = {
  linux: {
    cargo: "install Rust with https://rustup.rs (or your distribution's rustup), then open a new terminal",
    compiler: 'install a C compiler and make, e.g. `sudo apt-get install build-essential`',
    python: 'install Python 3.10 or newer with venv, e.g. `sudo apt-get install python3 python3-venv`',
  },
  darwin: {
    cargo: 'install Rust with https://rustup.rs, then open a new terminal',
    compiler: 'install the command line tools: `xcode-select --install`',
    python: 'install Python 3.10 or newer, e.g. `brew install python`',
  },
};

/** The Python 3 to make environments with, or null. */
export function python() {
  for (const name of ['python3', 'python']) {
    const path = find(name);
    const check = 'import sys, venv, ensurepip; print(sys.executable if sys.version_info >= (3, 10) else "")';
    const found = path && output(path, ['-c', check]);
    if (found) return found;
  }
  return null;
}

/** Throws one message with everything that is missing. */
export function checkTools() {
  const missing = [];
  const way = wayOut[process.platform] ?? wayOut.linux;
  const node = Number(process.versions.node.split('.')[0]);
  if (node < 20) missing.push(`Node 20 or newer (this is ${process.versions.node}): https://nodejs.org`);
  const cargo = find('cargo') && output('cargo', ['--version']);
  if (!cargo) missing.push(`cargo: ${way.cargo}`);
  else if (olderThan(cargo, [1, 95])) missing.push(`cargo 1.95 or newer (this is ${cargo}): \`rustup update stable\``);
  if (!find('cc', 'gcc', 'clang')) missing.push(`a C compiler: ${way.compiler}`);
  const interpreter = python();
  if (!interpreter) missing.push(`Python 3 with venv: ${way.python}`);
  if (process.platform === 'win32') missing.push('Linux or macOS: on Windows, run this inside WSL 2');
  if (missing.length) throw new Failure(`Kernel Keeper cannot be built yet. Missing:\n  - ${missing.join('\n  - ')}`);
  return { python: interpreter };
}

function olderThan(version, [major, minor]) {
  const found = /(\d+)\.(\d+)/.exec(version);
  return found !== null && (Number(found[1]) < major || (Number(found[1]) === major && Number(found[2]) < minor));
}
