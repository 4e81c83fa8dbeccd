/**
 * What went on while the editor was closed: said once, after its start. Pure.
 * The rule: at least one kernel is shown by no window, and none by another window than this one. The first window of a run finds it so;
 * a later one does not, as long as an earlier one shows a kernel. A window that is reloaded says it again, which is true, too.
 */
import { windowsOf } from './describe';
import type { Session } from './protocol/types';

/** The kernels that were kept, as a window finds them that started at `begin`. */
export function keptRunning(live: readonly Session[], begin: Date): readonly Session[] {
  const isOlder = (session: Session) => Date.parse(session.startedAt) < begin.getTime();
  const isShownElsewhere = live.some((session) => windowsOf(session).some(({ thisWindow }) => !thisWindow));
  return isShownElsewhere ? [] : live.filter((session) => windowsOf(session).length === 0 && isOlder(session));
}
