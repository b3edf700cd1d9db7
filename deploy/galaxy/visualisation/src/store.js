// A dataset that lies in Galaxy, read as a Zarr store through Galaxy's API: which user may read what is Galaxy's to say.

/** How many bytes of what was read are kept, so that planes of one chunk are not fetched again for each plane. */
const KEPT_BYTES = 256 * 1024 * 1024;

/** Ask Galaxy's API of this page's own server. Answers the response; throws where Galaxy refuses. */
export async function ask(root, path, options = {}) {
  const response = await fetch(`${root}api/${path}`, { credentials: "same-origin", ...options });
  if (response.ok || response.status === 404) {
    return response;
  }
  const refused = response.status === 401 || response.status === 403;
  throw new Error(refused ? "Galaxy does not let you see this dataset." : `Galaxy answered ${response.status}.`);
}

/** What Galaxy's API answers, as JSON; null where there is no such thing. */
export async function askJson(root, path) {
  const response = await ask(root, path);
  return response.ok ? response.json() : null;
}

/** A readable Zarr store over the files of one dataset. What was read is kept, and shared by all who ask at once. */
export class DatasetStore {
  #root;
  #dataset;
  #reads = new Map();
  #sizes = new Map();
  #bytes = 0;

  constructor(root, dataset) {
    this.#root = root;
    this.#dataset = dataset;
  }

  get(key) {
    return this.#read(key);
  }

  getRange(key, { offset, length, suffixLength }) {
    return this.#read(key, suffixLength ? `bytes=-${suffixLength}` : `bytes=${offset}-${offset + length - 1}`);
  }

  #read(key, range) {
    const name = `${key} ${range ?? ""}`;
    if (!this.#reads.has(name)) {
      const reading = this.#fetch(key, range);
      this.#reads.set(name, reading);
      reading.then(
        (bytes) => this.#keep(name, bytes?.byteLength ?? 0),
        () => this.#reads.delete(name),
      );
    }
    return this.#reads.get(name);
  }

  async #fetch(key, range) {
    const file = `${this.#dataset.metadata_store_root ?? ""}${key}`.replace(/^\/+/, "");
    const path = `datasets/${this.#dataset.id}/display?filename=${encodeURIComponent(file)}`;
    const response = await ask(this.#root, path, { headers: range ? { Range: range } : {} });
    if (response.status === 404) {
      return undefined;
    }
    // A server that ignores ranges would have us take the head of a shard for its index.
    if (range && response.status !== 206) {
      throw new Error("This Galaxy does not serve parts of files, which a sharded image needs.");
    }
    return new Uint8Array(await response.arrayBuffer());
  }

  /** Count what is kept, and forget what was read longest ago. */
  #keep(name, size) {
    this.#sizes.set(name, size);
    this.#bytes += size;
    for (const [oldest, its] of this.#sizes) {
      if (this.#bytes <= KEPT_BYTES) {
        break;
      }
      this.#sizes.delete(oldest);
      this.#reads.delete(oldest);
      this.#bytes -= its;
    }
  }
}
