/**
 * Where the token of each window is kept while that is reloaded: one private file a window, in the folder that the editor gives a workspace.
 * Guarantees: a window that comes takes over what one with the same tabs left that has gone, or one of its folder that left just now, never
 * what a living one has; of two that come at once one has it. A file is whole whenever another window reads it. Where no other window has the same tabs, nothing is waited
 * for but the tabs. Not in VS Code's secret storage: in a browser each window writes all that it knows over what the others wrote, and a
 * workspace's memory is shared by its windows.
 * Leaves out: whether a token is good, which the sidecar decides.
 */
import { createHash, randomUUID } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** As long as the token is good. */
const KEPT_MS = 15 * 60_000;
/** The window before this one may still be on its way out. */
const LEAVES_MS = 2_000;
/** VS Code may tell of a window's tabs a moment after it started the extensions. */
const TABS_MS = 300;
/** A browser keeps the tabs of a folder's windows in one place: a window that is reloaded may have those of another one. */
const RELOADED_MS = 20_000;
const LOOK_MS = 50;
const LONGEST = 100_000;

interface Kept {
  readonly token: string;
  /** The editor's process: one that was quit and started again is another. */
  readonly editor: number;
  /** The process of the window's extensions. */
  readonly host: number;
  /** A hash of them. */
  readonly tabs: string;
  readonly at: number;
  readonly hasLeft: boolean;
}

/** What is known of this window. */
export interface Here {
  readonly editor: number;
  readonly host: number;
  /** Windows without a folder share one place. */
  readonly hasFolder: boolean;
  tabs(): readonly string[];
}

export class Tokens {
  /** The name of this window's own file: no other window has it. */
  private readonly name = randomUUID();
  private token: string | undefined;

  constructor(
    private readonly folder: string,
    private readonly here: Here,
  ) {}

  /** The token of the window that this one was before, if there is one. */
  async get(): Promise<string | undefined> {
    if (this.token !== undefined) return this.token;
    const begun = Date.now();
    for (;;) {
      const others = await this.others();
      const waited = Date.now() - begun;
      const tabs = this.here.tabs();
      const isAlike = tabs.length > 0 || (this.here.hasFolder && waited > TABS_MS);
      const alike = others.filter(({ kept }) => isAlike && kept.tabs === hashOf(tabs));
      const isReloaded = this.here.hasFolder && waited > TABS_MS;
      const left = others.filter(({ kept }) => isReloaded && kept.hasLeft && Date.now() - kept.at < RELOADED_MS);
      for (const { name, kept } of [alike, left].flatMap((some) => some.sort((one, other) => other.kept.at - one.kept.at))) {
        if (isThere(kept) || !(await this.claim(name))) continue;
        this.token = kept.token;
        return this.token;
      }
      if (others.length === 0 || waited > (alike.length > 0 ? LEAVES_MS : TABS_MS)) return undefined;
      await pause(LOOK_MS);
    }
  }

  async put(token: string): Promise<void> {
    this.token = token;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    this.write(false);
  }

  /** Its tabs are other ones now. */
  changed(): void {
    if (this.token !== undefined) this.write(false);
  }

  /** This window goes, perhaps to come again. */
  leave(): void {
    if (this.token !== undefined) this.write(true);
  }

  /** At once, for a window that goes waits for nothing; under a name that no other window looks at until it is whole. */
  private write(hasLeft: boolean): void {
    const { editor, host } = this.here;
    const kept: Partial<Kept> = { editor, host, tabs: hashOf(this.here.tabs()), at: Date.now(), hasLeft };
    const hidden = this.file(`.${this.name}.new`);
    writeFileSync(hidden, JSON.stringify({ ...kept, token: this.token }), { mode: 0o600 });
    renameSync(hidden, this.file(this.name));
  }

  /** Those of the same editor's other windows; what is of no use any more is removed. */
  private async others(): Promise<{ name: string; kept: Kept }[]> {
    const names = await readdir(this.folder).catch(() => []);
    const found = [];
    for (const name of names.filter((one) => one !== this.name)) {
      const kept = name.startsWith('.') ? undefined : await this.read(name);
      if (kept?.editor === this.here.editor && Date.now() - kept.at < KEPT_MS) found.push({ name, kept });
      else if (kept ? !isThere(kept) : await this.isOld(name)) await rm(this.file(name), { force: true });
    }
    return found;
  }

  /** What cannot be read may be on its way. */
  private async isOld(name: string): Promise<boolean> {
    try {
      return Date.now() - (await stat(this.file(name))).mtimeMs > KEPT_MS;
    } catch {
      return false;
    }
  }

  private async read(name: string): Promise<Kept | undefined> {
    try {
      const text = await readFile(this.file(name), 'utf8');
      if (text.length > LONGEST) return undefined;
      const kept = JSON.parse(text) as Partial<Kept>;
      const isWhole = typeof kept.token === 'string' && typeof kept.host === 'number' && typeof kept.tabs === 'string';
      return isWhole ? (kept as Kept) : undefined;
    } catch {
      return undefined;
    }
  }

  private async claim(name: string): Promise<boolean> {
    try {
      // Under a name that no other window looks at: whoever renames it has it.
      await rename(this.file(name), this.file(`.${this.name}`));
      await rm(this.file(`.${this.name}`), { force: true });
      return true;
    } catch {
      return false;
    }
  }

  private file(name: string): string {
    return join(this.folder, name);
  }
}

const hashOf = (tabs: readonly string[]): string =>
  createHash('sha256')
    .update(JSON.stringify([...tabs].sort()))
    .digest('hex');

function isThere({ host, hasLeft }: Kept): boolean {
  if (hasLeft) return false;
  try {
    process.kill(host, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}
