// `npm run bench`: builds the release binary, makes the Python environment of the peers, and runs benches/bench.py.
// Guarantees: the binary measured is the one that is shipped. Leaves out: what is measured (see benches/).
import { delimiter, join } from 'node:path';
import { releaseBinary } from './lib/build.mjs';
import { binary, cache, root } from './lib/paths.mjs';
import { environment } from './lib/python.mjs';
import { main, run } from './lib/run.mjs';
import { checkTools } from './lib/tools.mjs';

main(async () => {
  const { python: interpreter } = checkTools();
  await releaseBinary({ log: 'bench-binary', show: 'cargo' });
  const requirements = 'benches/requirements.txt';
  const { python, jupyterPath } = await environment('bench-python', interpreter, requirements, { log: 'bench-python', show: 'python' });
  const env = {
    KERNEL_KEEPER_BINARY: binary,
    KERNEL_KEEPER_TEST_PYTHON: python,
    JUPYTER_PATH: [jupyterPath, process.env.JUPYTER_PATH].filter(Boolean).join(delimiter),
  };
  console.log(await run(python, [join(root, 'benches', 'bench.py')], { log: 'bench', env }));
});
