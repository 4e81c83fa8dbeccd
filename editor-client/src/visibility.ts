/**
 * Which views of this window show memory and processor to somebody. The sidecar is told when there is one, so that it has them measured
 * more often, and told again when it was started anew.
 */
import type { Sidecar } from './client';
import { messageOf } from './errors';

export class Visibility {
  private readonly visible = new Set<string>();
  private readonly subscription: { dispose(): void };
  private told = false;

  constructor(private readonly sidecar: Pick<Sidecar, 'onReady' | 'request' | 'state' | 'log'>) {
    this.subscription = sidecar.onReady(() => {
      // A new one knows of none.
      this.told = false;
      this.tell();
    });
  }

  set(view: string, isVisible: boolean): void {
    if (isVisible) this.visible.add(view);
    else this.visible.delete(view);
    this.tell();
  }

  dispose(): void {
    this.subscription.dispose();
  }

  private tell(): void {
    const visible = this.visible.size > 0;
    if (visible === this.told || this.sidecar.state !== 'running') return;
    this.told = visible;
    this.sidecar.request('keeper/setVisible', { visible }).catch((error: unknown) => {
      this.sidecar.log.debug(`The sidecar was not told what is visible: ${messageOf(error)}`);
    });
  }
}
