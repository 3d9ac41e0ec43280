/**
 * Copies an image from the host's Docker into a node's, sending only the layers that the node does
 * not have. The image keeps its id, so that all nodes agree on what they run.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { docker, dockerEnv, tryDocker, type Docker } from './docker';
import { pipe } from './shell';
import { repository } from './stage';

const cacheDir = join(repository, '.build', 'saved');
const savedImagesMax = 2;

/** An image as `docker save` writes it, unpacked in a folder. */
export interface SavedImage {
  readonly image: string;
  readonly folder: string;
  readonly id: string;
  readonly configFile: string;
  readonly layerFiles: readonly string[];
  readonly layerIds: readonly string[];
}

/** Writes an image to files once, for any number of nodes. */
export async function saveImage(daemon: Docker, image: string): Promise<SavedImage> {
  const hostId = await docker(daemon, ['image', 'inspect', '--format', '{{.Id}}', image]);
  const folder = join(cacheDir, hostId.replace(/^sha256:/, '').slice(0, 16));
  if (!existsSync(folder)) {
    await mkdir(cacheDir, { recursive: true });
    const fresh = await mkdtemp(join(cacheDir, 'new-'));
    const save = { env: dockerEnv(daemon) };
    try {
      await pipe(['docker', 'save', image], ['tar', '-x', '-C', fresh], { producer: save });
      await rename(fresh, folder);
    } catch (error) {
      await rm(fresh, { recursive: true, force: true });
      if (!existsSync(folder)) throw error; // Another process may have saved the same image.
    }
    await forgetOldest();
  }
  return describe(image, folder);
}

/** Brings the image into a node's Docker; false when it is already there. */
export async function sendImage(saved: SavedImage, node: Docker): Promise<boolean> {
  const images = await imagesOf(node);
  const present = images.find((each) => each.id === saved.id);
  if (present !== undefined) {
    await docker(node, ['tag', saved.id, saved.image]);
    return false;
  }
  const shared = Math.max(0, ...images.map((each) => commonPrefix(each.layers, saved.layerIds)));
  const files = ['manifest.json', saved.configFile, ...saved.layerFiles.slice(shared)];
  // -h: `docker save` writes a layer that occurs twice as a symbolic link.
  await pipe(['tar', '-h', '-C', saved.folder, '-c', ...files], ['docker', 'load', '--quiet'], {
    consumer: { env: dockerEnv(node) },
  });
  await tryDocker(node, ['image', 'prune', '--force']);
  return true;
}

interface NodeImage {
  readonly id: string;
  readonly layers: readonly string[];
}

async function imagesOf(node: Docker): Promise<NodeImage[]> {
  const ids = (await docker(node, ['image', 'ls', '--quiet', '--no-trunc'])).split('\n');
  const unique = [...new Set(ids)].filter((id) => id !== '');
  if (unique.length === 0) return [];
  const inspected = JSON.parse(await docker(node, ['image', 'inspect', ...unique])) as {
    readonly Id: string;
    readonly RootFS: { readonly Layers?: string[] };
  }[];
  return inspected.map(({ Id: id, RootFS: { Layers: layers = [] } }) => ({ id, layers }));
}

function commonPrefix(left: readonly string[], right: readonly string[]): number {
  const differs = left.findIndex((value, index) => value !== right[index]);
  return differs === -1 ? Math.min(left.length, right.length) : differs;
}

async function describe(image: string, folder: string): Promise<SavedImage> {
  const manifest = (await readJson(join(folder, 'manifest.json'))) as [
    { Config: string; Layers: string[] },
  ];
  const { Config: configFile, Layers: layerFiles } = manifest[0];
  const config = (await readJson(join(folder, configFile))) as { rootfs: { diff_ids: string[] } };
  return {
    image,
    folder,
    id: `sha256:${basename(configFile).replace(/\.json$/, '')}`,
    configFile,
    layerFiles,
    layerIds: config.rootfs.diff_ids,
  };
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}

async function forgetOldest(): Promise<void> {
  const names = (await readdir(cacheDir)).filter((name) => !name.startsWith('new-'));
  const dated = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(cacheDir, name))).ctimeMs })),
  );
  const old = dated.sort((a, b) => b.at - a.at).slice(savedImagesMax);
  for (const { name } of old) await rm(join(cacheDir, name), { recursive: true, force: true });
}
