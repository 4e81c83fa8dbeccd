// `npm run package`: the VSIX with the release binary inside, for this platform.
// Guarantees: built from what is in the tree now. Leaves out: other platforms' binaries.
import { extensionBundle, extensionPackage, packages, releaseBinary } from './lib/build.mjs';
import { vsix } from './lib/paths.mjs';
import { main } from './lib/run.mjs';
import { checkTools } from './lib/tools.mjs';

main(async () => {
  checkTools();
  await packages({ log: 'package-npm', show: 'npm' });
  await releaseBinary({ log: 'package-binary', show: 'cargo' });
  await extensionBundle({ log: 'package-bundle', show: 'esbuild' });
  await extensionPackage({ log: 'package-vsix', show: 'vsce' });
  console.log(vsix);
});
