/** Prepares the build context of the product image: the compiled program and what it needs to run. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { step } from './progress';
import { LabError, run } from './shell';

/** The repository. */
export const repository = resolve(__dirname, '../..');
const buildDir = join(repository, '.build');
const imageDir = join(repository, 'manifests/image');

/**
 * Runs `work` with a folder that holds everything the Dockerfile copies. `program` is a folder with a
 * compiled program, for an image of another version; without it, src is compiled.
 */
export async function withContext<T>(
  program: string | undefined,
  work: (context: string) => Promise<T>,
): Promise<T> {
  await mkdir(buildDir, { recursive: true });
  const context = await mkdtemp(join(buildDir, 'image-'));
  try {
    const modules = await productionModules();
    // Hard links: the builder reads the files, and nothing writes to them.
    await run(['cp', '-al', modules, join(context, 'node_modules')]);
    await cp(join(repository, 'package.json'), join(context, 'package.json'));
    for (const folder of ['crds', 'src/page']) {
      await cp(join(repository, folder), join(context, folder), { recursive: true });
    }
    await cp(imageDir, context, { recursive: true });
    await placeProgram(program, join(context, 'dist'));
    return await work(context);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function placeProgram(program: string | undefined, target: string): Promise<void> {
  if (program !== undefined) {
    if (!existsSync(join(program, 'main.js'))) {
      throw new LabError(`${program} holds no main.js: name a folder with a compiled program.`);
    }
    await cp(program, target, { recursive: true });
    return;
  }
  // Into the context and not into dist/: two builds at once must not mix their output.
  await step('compiling the program', () =>
    run(['npx', 'tsc', '-p', 'tsconfig.build.json', '--outDir', target], { cwd: repository }),
  );
  if (!existsSync(join(target, 'main.js'))) {
    throw new LabError('Compiling src gave no main.js: is there a src/main.ts?');
  }
}

/** node_modules without the development tools, installed once for each package-lock.json. */
async function productionModules(): Promise<string> {
  const inputs = ['package-lock.json', 'package.json', '.npmrc'];
  const present = inputs.filter((name) => existsSync(join(repository, name)));
  const hash = createHash('sha256');
  for (const name of present.slice(0, 1)) hash.update(await readFile(join(repository, name)));
  const cached = join(buildDir, `modules-${hash.digest('hex').slice(0, 12)}`);
  if (!existsSync(cached)) {
    await step('installing the production packages', async () => {
      const fresh = await mkdtemp(join(buildDir, 'modules-new-'));
      for (const name of present) await cp(join(repository, name), join(fresh, name));
      await run(['npm', 'ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], {
        cwd: fresh,
      });
      await rename(join(fresh, 'node_modules'), cached).catch((error: unknown) => {
        if (!existsSync(cached)) throw error; // Another build was faster.
      });
      await rm(fresh, { recursive: true, force: true });
    });
  }
  return cached;
}
