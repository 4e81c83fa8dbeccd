// A kernel that is not Python, for the tests: Deno's own (TypeScript, written in Rust, tcp only), from npm.
// Guarantees: a complete kernelspec with absolute paths. Leaves out: any Jupyter of the user's.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './paths.mjs';
import { npm, run } from './run.mjs';
import { once } from './stamp.mjs';

const version = '2.9.6';
const folder = join(cache, 'test-deno');
const programs = {
  'linux-x64': 'linux-x64-glibc',
  'linux-arm64': 'linux-arm64-glibc',
  'darwin-x64': 'darwin-x64',
  'darwin-arm64': 'darwin-arm64',
};

export async function denoKernel(options) {
  const name = programs[`${process.platform}-${process.arch}`];
  const program = join(folder, 'node_modules', '@deno', name, 'deno');
  const jupyterPath = join(folder, 'share', 'jupyter');
  const spec = join(jupyterPath, 'kernels', 'deno');
  await once('test-deno', `${version} ${folder}`, [program, join(spec, 'kernel.json')], async () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(spec, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `deno@${version}`];
    await run(npm[0], [...npm.slice(1), ...install], { ...options, cwd: folder });
    const argv = [program, 'jupyter', '--kernel', '--conn', '{connection_file}'];
    const document = { argv, display_name: 'Deno', language: 'typescript', env: { NO_COLOR: '1', DENO_DIR: join(folder, 'store') } };
    writeFileSync(join(spec, 'kernel.json'), `${JSON.stringify(document, null, 2)}\n`);
  });
  return { jupyterPath };
}
