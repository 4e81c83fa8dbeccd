/**
 * Where the token of each window is kept while that is reloaded: one private file a window, in the folder that the editor gives a workspace.
 * Guarantees: a window that comes takes over what one that has gone left, never what a living one has; of two that come at once one has
 * it, and that one whose tabs it names where that tells them apart. Not in VS Code's secret storage: in a browser each window
 * writes all that it knows over what the others wrote, and a workspace's memory is shared by its windows.
 * Leaves out: whether a token is good, which the sidecar decides.
 */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** As long as the token is good. */
const KEPT_MS = 15 * 60_000;
/** The window before this one may still be on its way out. */
const LEAVES_MS = 2_000;
const LOOK_MS = 50;
const LONGEST = 100_000;

interface Kept {
  readonly token: string;
  /** The editor's process: one that was quit and started again is another. */
  readonly editor: number;
  /** The process of the window's extensions. */
  readonly host: number;
  readonly tabs: readonly string[];
  readonly at: number;
  readonly hasLeft: boolean;
}

/** What is known of this window. */
export interface Here {
  readonly editor: number;
  readonly host: number;
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
    const deadline = Date.now() + LEAVES_MS;
    for (;;) {
      const others = await this.others();
      for (const { name, kept } of byLikeness(others, this.here.tabs())) {
        if (isThere(kept) || !(await this.claim(name))) continue;
        this.token = kept.token;
        return this.token;
      }
      if (others.length === 0 || Date.now() > deadline) return undefined;
      await pause(LOOK_MS);
    }
  }

  async put(token: string): Promise<void> {
    this.token = token;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await writeFile(this.file(this.name), this.written(false), { mode: 0o600 });
  }

  /** This window goes, perhaps to come again. */
  leave(): void {
    if (this.token !== undefined) writeFileSync(this.file(this.name), this.written(true), { mode: 0o600 });
  }

  private written(hasLeft: boolean): string {
    const { editor, host } = this.here;
    const kept: Partial<Kept> = { editor, host, tabs: this.here.tabs(), at: Date.now(), hasLeft };
    return JSON.stringify({ ...kept, token: this.token });
  }

  /** Those of the same editor's other windows; what is of no use any more is removed. */
  private async others(): Promise<{ name: string; kept: Kept }[]> {
    const names = await readdir(this.folder).catch(() => []);
    const found = [];
    for (const name of names.filter((one) => one !== this.name && !one.startsWith('.'))) {
      const kept = await this.read(name);
      if (kept?.editor === this.here.editor && Date.now() - kept.at < KEPT_MS) found.push({ name, kept });
      else if (!kept || !isThere(kept)) await rm(this.file(name), { force: true });
    }
    return found;
  }

  private async read(name: string): Promise<Kept | undefined> {
    try {
      const text = await readFile(this.file(name), 'utf8');
      if (text.length > LONGEST) return undefined;
      const kept = JSON.parse(text) as Partial<Kept>;
      const isWhole = typeof kept.token === 'string' && typeof kept.host === 'number' && Array.isArray(kept.tabs);
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

/** The one with the same tabs first, then the one that left last. */
function byLikeness<T extends { kept: Kept }>(all: readonly T[], tabs: readonly string[]): T[] {
  const isAlike = ({ kept }: T) => Number(kept.tabs.length === tabs.length && kept.tabs.every((tab) => tabs.includes(tab)));
  return [...all].sort((one, other) => isAlike(other) - isAlike(one) || other.kept.at - one.kept.at);
}

function isThere({ host, hasLeft }: Kept): boolean {
  if (hasLeft) return false;
  try {
    process.kill(host, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}
