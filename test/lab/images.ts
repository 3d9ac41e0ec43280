/** Builds the two images: a node of the lab, and the product. */
import { join } from 'node:path';
import { ensureBaseImage } from './base-image';
import { docker, tryDocker, type Docker } from './docker';
import { step } from './progress';
import { withContext } from './stage';

const nodeImage = 'pgswarm-lab-node';
const proxySettings = ['http_proxy', 'https_proxy', 'no_proxy'];

/** The product image's name unless told otherwise. */
export const productImage = process.env['PGSWARM_IMAGE'] ?? 'pgswarm:dev';

/** Builds the image of the lab's nodes and returns its name. */
export async function buildNodeImage(daemon: Docker): Promise<string> {
  const base = await ensureBaseImage(daemon);
  await step('building the node image', () =>
    build(daemon, { tag: nodeImage, base, context: join(__dirname, 'node') }),
  );
  return nodeImage;
}

/** Compiles the program, builds the product image, and returns the image's name. */
export async function buildProductImage(
  daemon: Docker,
  options: { readonly program?: string | undefined; readonly tag?: string } = {},
): Promise<string> {
  const tag = options.tag ?? productImage;
  const base = await ensureBaseImage(daemon);
  await withContext(options.program, (context) =>
    step(`building the image ${tag}`, () => build(daemon, { tag, base, context })),
  );
  return tag;
}

interface Build {
  readonly tag: string;
  readonly base: string;
  readonly context: string;
}

async function build(daemon: Docker, { tag, base, context }: Build): Promise<void> {
  const before = await imageId(daemon, tag);
  // The builder that every Docker has, and the machine's own network: the packages come from a
  // mirror that may be reachable only from here.
  const env = { ...process.env, DOCKER_BUILDKIT: '0' };
  const proxies = proxySettings
    .flatMap((name) => [name, name.toUpperCase()])
    .filter((name) => process.env[name] !== undefined)
    .flatMap((name) => ['--build-arg', name]);
  await docker(
    daemon,
    ['build', '--network', 'host', '--build-arg', `BASE=${base}`, ...proxies, '-t', tag, context],
    { env },
  );
  // Without this, every change of the program would leave a nameless image behind. One that is
  // still in use under another name, or by a container, stays.
  if (before !== null && before !== (await imageId(daemon, tag))) {
    await tryDocker(daemon, ['image', 'rm', before]);
  }
}

async function imageId(daemon: Docker, image: string): Promise<string | null> {
  const result = await tryDocker(daemon, ['image', 'inspect', '--format', '{{.Id}}', image]);
  return result.code === 0 ? result.stdout.trim() : null;
}
