/**
 * Until when this person has watched a session: what ended later happened while nobody looked.
 * Kept as one small file a session, so that it survives an editor that is killed, and counts for all windows.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export class Seen {
  private readonly folder: string;

  constructor(storageFolder: string) {
    this.folder = join(storageFolder, 'seen');
  }

  /** Undefined where it was never watched. */
  async until(sessionId: string): Promise<number | undefined> {
    try {
      const time = Date.parse(await readFile(this.file(sessionId), 'utf8'));
      return Number.isNaN(time) ? undefined : time;
    } catch {
      return undefined;
    }
  }

  /** Everything up to `time` was seen. It does no harm where this cannot be written: then more is told than is new. */
  async mark(sessionId: string, time: string): Promise<void> {
    try {
      await mkdir(this.folder, { recursive: true });
      await writeFile(this.file(sessionId), time);
    } catch {
      // Told above.
    }
  }

  async forget(sessionId: string): Promise<void> {
    await rm(this.file(sessionId), { force: true });
  }

  private file(sessionId: string): string {
    return join(this.folder, encodeURIComponent(sessionId));
  }
}
