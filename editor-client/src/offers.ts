/**
 * Shows the sidecar's questions as notifications and sends the answers.
 * Guarantees: questions are shown one after the other, that of the notebook in front first, and again where somebody waits; each says what
 * runs at that moment; one that was settled elsewhere is answered with a word, not an error; a question that was closed is dismissed for the sidecar, too. `ask` resolves when it is settled, in whichever way.
 * Leaves out: how a question is put (`asking.ts`), what follows from an answer (`onDidAnswer`).
 */
import * as vscode from 'vscode';
import { AGAIN, chooseAction, namesOf, pickMoved } from './asking';
import type { Sidecar } from './client';
import { isKind, messageOf } from './errors';
import { withNewLines } from './kernels/printed';
import { hasTab, nextEvent, tabsOf } from './kernels/selection';
import type { EnsureResult, Offer } from './protocol/types';
import { showError, showInformation, withProgress } from './say';
import { sameUri } from './sessions';

/** A notification leaves the screen by itself after about this time, unanswered; then the next question may come. */
const ON_SCREEN_MS = 12_000;
/** Notebooks of one folder are found to have moved one after the other. */
const TOGETHER_MS = 400;
/** How long a notebook may take to be drawn before its question is asked all the same. */
const DRAWN_MS = 30_000;

interface Question {
  /** As it was when it was shown last. */
  offer: Offer;
  readonly settled: Promise<EnsureResult | undefined>;
  readonly settle: (result: EnsureResult | undefined) => void;
  /** The person did something that waits for the answer. */
  isAsked: boolean;
  /** That was running a cell. */
  isRun: boolean;
  isOpen: boolean;
  /** How often it was shown: VS Code closes an identical notification, which is no answer. */
  shown: number;
  /** When that was last, in milliseconds: as long as it may be on the screen its words stay. */
  shownAt: number;
}

/** What was answered. `isOneOfMany`: together with others, by one click. */
export interface Answer {
  readonly offer: Offer;
  readonly action: string;
  readonly result: EnsureResult;
  readonly isOneOfMany: boolean;
}

export class Offers implements vscode.Disposable {
  private readonly questions = new Map<string, Question>();
  private readonly answerEmitter = new vscode.EventEmitter<Answer>();
  private readonly changeEmitter = new vscode.EventEmitter<void>();
  /** Offers about notebooks whose tab was closed while their document lingers. */
  private readonly held = new Map<string, Offer>();
  private readonly subscriptions: vscode.Disposable[];
  /** Questions that nobody saw yet. */
  private readonly waiting = new Set<Question>();
  private isShowing = false;
  /** The question of the notebook in front is to come next, whichever is on the screen. */
  private readonly frontEmitter = new vscode.EventEmitter<void>();

  readonly onDidAnswer = this.answerEmitter.event;
  readonly onDidChange = this.changeEmitter.event;

  constructor(
    private readonly sidecar: Sidecar,
    private readonly isFollowed: (notebookUri: string, sessionId: string) => boolean,
  ) {
    this.subscriptions = [
      sidecar.onOffer((offer) => {
        this.raised(offer);
      }),
      sidecar.onOfferWithdrawn((offerId) => {
        this.held.delete(offerId);
        this.close(offerId, undefined);
      }),
      vscode.window.tabGroups.onDidChangeTabs(({ opened }) => {
        this.openedAgain(opened);
        if (opened.length > 0) for (const offer of [...this.held.values()]) this.raised(offer);
      }),
      sidecar.onReady(() => void this.synchronise()),
      vscode.workspace.onDidGrantWorkspaceTrust(() => void this.synchronise()),
      vscode.window.onDidChangeActiveNotebookEditor(() => {
        this.frontChanged();
      }),
      this.answerEmitter,
      this.changeEmitter,
      this.frontEmitter,
    ];
  }

  /** The open question about a notebook. */
  of(notebookUri: vscode.Uri): Offer | undefined {
    return [...this.questions.values()].find(({ offer }) => isAbout(offer, notebookUri))?.offer;
  }

  /** Asks, and waits until it is settled: undefined where that was elsewhere, or not at all. `isRun`: a cell waits to be run. */
  async ask(offer: Offer, isRun = false): Promise<EnsureResult | undefined> {
    const question = this.add(offer, true);
    question.isRun ||= isRun;
    return question.settled;
  }

  /** Shows an open question again, which has left the screen unanswered. */
  showAgain(offerId: string): void {
    const question = this.questions.get(offerId);
    if (question) void this.show(question);
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private raised(offer: Offer): void {
    // Nothing may run in an untrusted workspace, so nothing is asked.
    if (!vscode.workspace.isTrusted) return;
    this.held.delete(offer.offerId);
    if (offer.kind !== 'migrate' && lingers(offer.notebookUri)) {
      this.held.set(offer.offerId, offer);
      return;
    }
    // After a start of the sidecar what this window follows is taken up without a question.
    const isTakenUp = offer.kind === 'resume' && offer.sessions.some(({ id }) => this.isFollowed(offer.notebookUri, id));
    if (!isTakenUp) this.add(offer, false);
  }

  /** A question may have left the screen unanswered since: who opens its notebook again sees it again. */
  private openedAgain(tabs: readonly vscode.Tab[]): void {
    for (const { input } of tabs) {
      const offer = input instanceof vscode.TabInputNotebook ? this.of(input.uri) : undefined;
      if (offer) this.showAgain(offer.offerId);
    }
  }

  private add(offer: Offer, isAsked: boolean): Question {
    this.held.delete(offer.offerId);
    const present = this.questions.get(offer.offerId);
    if (present) {
      if (isAsked) {
        // Its notification may be gone from the screen, or be answered as one for which nobody waits.
        present.isAsked = true;
        void this.show(present);
      }
      return present;
    }
    let settle: Question['settle'] = () => undefined;
    const settled = new Promise<EnsureResult | undefined>((resolve) => {
      settle = resolve;
    });
    const question: Question = { offer, settled, settle, isAsked, isRun: false, isOpen: true, shown: 0, shownAt: 0 };
    this.questions.set(offer.offerId, question);
    this.changeEmitter.fire();
    if (isAsked) void this.show(question);
    else {
      this.waiting.add(question);
      this.frontChanged();
      void this.showWaiting();
    }
    return question;
  }

  /** Shows those that wait, one after the other: each has its time on the screen. */
  private async showWaiting(): Promise<void> {
    if (this.isShowing) return;
    this.isShowing = true;
    for (let next = this.next(); next; next = this.next()) {
      try {
        await this.showFirst(next);
      } catch (error) {
        this.waiting.delete(next);
        this.sidecar.log.warn(`A question could not be shown: ${messageOf(error)}`);
      }
    }
    this.isShowing = false;
  }

  /** The notebook in front is asked about first. */
  private next(): Question | undefined {
    for (const question of this.waiting) if (question.shown > 0 || !isOpen(question)) this.waiting.delete(question);
    return [...this.waiting].find(({ offer }) => isInFront(offer)) ?? [...this.waiting][0];
  }

  private async showFirst(question: Question): Promise<void> {
    const { offer, settled } = question;
    if (offer.kind === 'migrate') await expire(TOGETHER_MS);
    else await this.unlessFront(question, [drawn(offer)]);
    // Another one is about what came in front meanwhile.
    if (this.next() !== question) return;
    this.waiting.delete(question);
    const others = this.movedToo();
    const isTogether = offer.kind === 'migrate' && others.length > 1;
    const shown = isTogether ? this.showTogether(others) : this.show(question);
    await this.unlessFront(question, [shown, ...(isTogether ? [] : [settled]), expire(ON_SCREEN_MS)]);
  }

  private frontChanged(): void {
    if ([...this.waiting].some(({ offer }) => isInFront(offer))) this.frontEmitter.fire();
  }

  /** Waits for the first of these, or until the question of another notebook is to come, which is in front. */
  private async unlessFront({ offer }: Question, others: readonly Promise<unknown>[]): Promise<void> {
    let come = (): void => undefined;
    const isNext = new Promise<void>((resolve) => {
      come = resolve;
    });
    const listener = this.frontEmitter.event(() => {
      if (!isInFront(offer)) come();
    });
    try {
      await Promise.race([...others, isNext]);
    } finally {
      listener.dispose();
    }
  }

  private close(offerId: string, result: EnsureResult | undefined): void {
    const question = this.questions.get(offerId);
    if (!question) return;
    question.isOpen = false;
    this.questions.delete(offerId);
    question.settle(result);
    this.changeEmitter.fire();
  }

  /** After a start of the sidecar its list is the truth. */
  private async synchronise(): Promise<void> {
    if (!vscode.workspace.isTrusted) return;
    try {
      const { offers } = await this.sidecar.request('keeper/openOffers', {});
      const ids = new Set(offers.map((offer) => offer.offerId));
      for (const offerId of [...this.questions.keys()]) if (!ids.has(offerId)) this.close(offerId, undefined);
      this.held.clear();
      for (const offer of offers) this.raised(offer);
    } catch (error) {
      this.sidecar.log.warn(`Open questions could not be read: ${messageOf(error)}`);
    }
  }

  private async show(question: Question): Promise<void> {
    if (!isOpen(question)) return;
    const shown = ++question.shown;
    if (Date.now() > question.shownAt + ON_SCREEN_MS) question.offer = await this.asItIs(question.offer);
    if (!isOpen(question) || shown !== question.shown) return;
    question.shownAt = Date.now();
    const action = await chooseAction(question);
    if (shown !== question.shown && (action === undefined || action === AGAIN)) return;
    if (!isOpen(question)) {
      // Notifications cannot be taken back, so one may be answered too late.
      if (action !== undefined && action !== 'dismiss' && action !== AGAIN) sayGone();
      return;
    }
    if (action === AGAIN) await this.show(question);
    else await this.answer(question, action ?? 'dismiss');
  }

  /** What runs, and since when, has changed since it was raised. */
  private async asItIs(offer: Offer): Promise<Offer> {
    if (offer.kind !== 'resume') return offer;
    let now = offer;
    try {
      const { offers } = await this.sidecar.request('keeper/openOffers', {});
      now = offers.find(({ offerId }) => offerId === offer.offerId) ?? offer;
      return await withNewLines(this.sidecar, now);
    } catch (error) {
      this.sidecar.log.warn(`What runs, or what it printed, is not known: ${messageOf(error)}`);
      return now;
    }
  }

  /** Moves that nobody was asked about yet. */
  private movedToo(): Question[] {
    return [...this.questions.values()].filter(({ offer, shown, isAsked }) => offer.kind === 'migrate' && shown === 0 && !isAsked);
  }

  /** One question about all notebooks that moved together. */
  private async showTogether(questions: readonly Question[]): Promise<void> {
    for (const question of questions) question.shown += 1;
    const [all, choose, notNow] = [vscode.l10n.t('Attach & Migrate All'), vscode.l10n.t('Choose…'), vscode.l10n.t('Not Now')];
    const text = vscode.l10n.t('{0} notebooks were moved. Their kernels are still running: {1}.', questions.length, namesOf(questions));
    const chosen = await showInformation(text, all, choose, notNow);
    const picked = chosen === choose ? await pickMoved(questions.filter(isOpen)) : chosen === all ? questions : [];
    const open = questions.filter(isOpen);
    if (picked === undefined) {
      // Begun and left: they stand.
      if (open.length > 0) await this.showTogether(open);
      return;
    }
    if (open.length === 0 && picked.length > 0) sayGone();
    await Promise.all(open.map((question) => this.answer(question, picked.includes(question) ? 'migrate' : 'dismiss', true)));
  }

  private async answer(question: Question, action: string, isOneOfMany = false): Promise<void> {
    const { offer } = question;
    try {
      const result = await whileAnswering(offer, action, () =>
        this.sidecar.request('keeper/answerOffer', { offerId: offer.offerId, action }),
      );
      if (result.outcome === 'ask' && result.offer) {
        const next = this.add(result.offer, true);
        next.isRun ||= question.isRun;
        this.close(offer.offerId, await next.settled);
        return;
      }
      this.answerEmitter.fire({ offer, action, result, isOneOfMany });
      this.close(offer.offerId, result);
    } catch (error) {
      this.close(offer.offerId, undefined);
      if (isKind(error, 'OfferGone')) sayGone();
      else void showError(`Kernel Keeper: ${messageOf(error)}`);
    }
  }
}

const isAbout = ({ notebookUri, fromNotebookUri }: Offer, notebook: vscode.Uri): boolean =>
  sameUri(notebookUri, notebook) || (fromNotebookUri !== null && sameUri(fromNotebookUri, notebook));

function isInFront(offer: Offer): boolean {
  const notebook = vscode.window.activeNotebookEditor?.notebook;
  return notebook !== undefined && isAbout(offer, notebook.uri);
}

/** Whether nobody sees that notebook, though VS Code still has it. */
function lingers(notebookUri: string): boolean {
  const notebook = vscode.workspace.notebookDocuments.find(({ uri }) => sameUri(notebookUri, uri));
  return notebook !== undefined && !hasTab(notebook.uri);
}

/** Waits for a notebook that is being opened: on a slow machine its question would leave the screen before it is there. */
async function drawn({ notebookUri }: Offer): Promise<void> {
  const isDrawn = () => vscode.window.visibleNotebookEditors.some(({ notebook }) => sameUri(notebookUri, notebook.uri));
  const isShown = () => tabsOf(vscode.Uri.parse(notebookUri)).some((tab) => tab.isActive);
  const deadline = Date.now() + DRAWN_MS;
  while (isShown() && !isDrawn() && Date.now() < deadline) {
    await nextEvent(vscode.window.onDidChangeVisibleNotebookEditors, deadline - Date.now());
  }
}

const isOpen = (question: Question): boolean => question.isOpen;

async function whileAnswering<T>(offer: Offer, action: string, task: () => Promise<T>): Promise<T> {
  if (action === 'dismiss') return task();
  const title = offer.actions.find((one) => one.action === action)?.title ?? action;
  return withProgress({ location: vscode.ProgressLocation.Window, title: `${title}…` }, task);
}

function sayGone(): void {
  void showInformation(vscode.l10n.t('Kernel Keeper: that question was settled meanwhile.'));
}

const expire = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
