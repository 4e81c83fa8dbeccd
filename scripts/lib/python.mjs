// Python environments with a kernel in them, and the search for kernels that are there already.
// Guarantees: an environment is complete or is made anew. Leaves out: the full rules of Jupyter's paths, which the binary has.
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { binary, cache } from './paths.mjs';
import { find, output, run } from './run.mjs';
import { fingerprint, once } from './stamp.mjs';

/** Makes `.cache/<name>` an environment with `requirements` (a file of the project) and a kernelspec that names it absolutely. */
export async function environment(name, interpreter, requirements, options) {
  const folder = join(cache, name);
  const python = join(folder, 'bin', 'python');
  const print = fingerprint([requirements], interpreter, folder);
  await once(name, print, [python], async () => {
    rmSync(folder, { recursive: true, force: true });
    await run(interpreter, ['-m', 'venv', folder], options);
    const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--progress-bar', 'off'];
    await run(python, [...pip, '-r', requirements], options);
    const spec = ['--prefix', folder, '--name', 'python3', '--display-name', 'Python 3 (ipykernel)'];
    await run(python, ['-m', 'ipykernel', 'install', ...spec], options);
  });
  return { python, jupyterPath: join(folder, 'share', 'jupyter') };
}

/** Names of the kernels for Python that a start from this terminal would find. */
export function pythonKernels() {
  const answer = existsSync(binary) && output(binary, ['kernelspecs', '--json']);
  if (answer) {
    try {
      const listed = JSON.parse(answer);
      const installed = (listed.kernelspecs ?? listed).filter((spec) => spec.source !== 'environment');
      return installed.filter(isForPython).map((spec) => spec.name);
    } catch {
      // An older binary without that command: look for ourselves.
    }
  }
  const names = new Set();
  for (const folder of kernelFolders()) {
    for (const name of existsSync(folder) ? readdirSync(folder) : []) {
      if (works(join(folder, name, 'kernel.json'))) names.add(name);
    }
  }
  return [...names];
}

const isForPython = ({ language, provisioner }) => language?.toLowerCase() === 'python' && provisioner === undefined;

function kernelFolders() {
  const { JUPYTER_PATH, JUPYTER_DATA_DIR, VIRTUAL_ENV, CONDA_PREFIX, PATH } = process.env;
  const data = process.platform === 'darwin' ? join(homedir(), 'Library', 'Jupyter') : join(homedir(), '.local', 'share', 'jupyter');
  const onPath = find('python3') ?? find('python');
  const prefixes = [
    VIRTUAL_ENV,
    CONDA_PREFIX,
    onPath && output(onPath, ['-c', 'import sys; print(sys.prefix)']),
    ...(PATH ?? '')
      .split(delimiter)
      .filter((folder) => /[/\\]bin$/.test(folder))
      .map(dirname),
    '/usr/local',
    '/usr',
  ];
  const roots = [
    ...(JUPYTER_PATH ?? '').split(delimiter),
    JUPYTER_DATA_DIR || data,
    ...prefixes.filter(Boolean).map((prefix) => join(prefix, 'share', 'jupyter')),
  ];
  return roots.filter(Boolean).map((folder) => join(folder, 'kernels'));
}

/** A kernelspec for Python whose program is still there: left-overs of deleted environments do not count. */
function works(file) {
  try {
    const { argv, language, metadata } = JSON.parse(readFileSync(file, 'utf8'));
    const program = argv[0];
    if (!isForPython({ language, provisioner: metadata?.kernel_provisioner?.provisioner_name })) return false;
    return program.includes('/') ? existsSync(program) : find(program) !== null;
  } catch {
    return false;
  }
}
