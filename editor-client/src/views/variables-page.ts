/**
 * What the view *Variables* shows, in words: made here, drawn by `webviews/variables.ts`. Pure: texts come from `translate`, the present
 * from `now`.
 */
import { moment, size, stateText, type Translate } from '../describe';
import type { Session, SessionVariablesResult, Variable } from '../protocol/types';

export interface VariableRow {
  readonly name: string;
  readonly type: string;
  readonly shape: string;
  /** What `shape` is sorted by. */
  readonly elements: number | null;
  readonly size: string;
  readonly bytes: number | null;
  readonly preview: string;
}

export interface VariablesPage {
  /** Said in place of the table; empty where there is one. */
  readonly nothing: string;
  /** "as of 17:35 · busy"; empty where the rows are how it is. */
  readonly asOf: string;
}

/** Words that do not change while the view is open. `{0}` and `{1}` are filled in there. */
export interface VariablesWords {
  readonly table: string;
  readonly columns: Readonly<Record<'name' | 'type' | 'shape' | 'size' | 'preview', string>>;
  readonly filter: string;
  readonly one: string;
  readonly all: string;
  readonly some: string;
  readonly none: string;
}

/** To the view. Rows are left out where they are those of the last message. */
export interface ShowVariables {
  readonly page: VariablesPage;
  readonly rows?: readonly VariableRow[];
  readonly words: VariablesWords;
}

export function variablesWords(translate: Translate): VariablesWords {
  return {
    table: translate('Variables'),
    columns: {
      name: translate('Name'),
      type: translate('Type'),
      shape: translate('Shape'),
      size: translate('Size'),
      preview: translate('Value'),
    },
    filter: translate('Filter by name or type'),
    one: translate('1 variable'),
    all: translate('{0} variables'),
    some: translate('{0} of {1} variables'),
    none: translate('No variable has “{0}” in its name or type.'),
  };
}

/** `known`: what was answered last, if anything was. */
export function variablesPage(session: Session, known: SessionVariablesResult | undefined, now: Date, translate: Translate): VariablesPage {
  const said = (nothing: string): VariablesPage => ({ nothing, asOf: '' });
  if (known?.supported === false) return said(translate('Variables are not supported for {0} kernels.', session.kernel.displayName));
  if (session.state === 'starting' || session.state === 'restarting') return said(translate('The kernel is starting.'));
  if (known?.asOf == null) {
    if (session.state === 'ended') return said(translate('The kernel has ended, and what its variables were is not known.'));
    return said(
      session.state === 'idle' && session.responding
        ? translate('Looking at the variables…')
        : translate('Which variables there are is seen when the kernel is free: it is {0}.', stateText(session, translate)),
    );
  }
  const isPresent = session.state === 'idle' && session.responding && !known.stale;
  const why = session.state === 'idle' && session.responding ? '' : ` · ${stateText(session, translate)}`;
  const asOf = isPresent ? '' : `${translate('as of {0}', moment(known.asOf, now))}${why}`;
  if (known.variables.length > 0) return { nothing: '', asOf };
  const nothing = session.state === 'ended' ? translate('The kernel had no variables when it ended.') : translate('No variables yet.');
  return { nothing, asOf };
}

export function variableRow({ name, type, shape, size: bytes, preview }: Variable): VariableRow {
  return {
    name,
    type,
    shape: shapeText(type, shape),
    elements: elementsOf(shape),
    size: bytes === null ? '' : size(bytes),
    bytes,
    preview,
  };
}

/** Whose one dimension is a shape as Python writes it, and not a length. */
const ARRAY = /^(ndarray|MaskedArray|Series|.*Index|Tensor|Parameter)$/;

/** "(1000, 3)", "(1000,)" of an array, "5" of a list. */
export function shapeText(type: string, shape: Variable['shape']): string {
  if (shape === null) return '';
  const dimensions = shape.map((dimension) => (dimension === null ? '?' : String(dimension)));
  if (dimensions.length === 1) return ARRAY.test(type) ? `(${dimensions[0] ?? ''},)` : (dimensions[0] ?? '');
  return `(${dimensions.join(', ')})`;
}

function elementsOf(shape: Variable['shape']): number | null {
  let product = 1;
  for (const dimension of shape ?? [null]) {
    if (dimension === null) return null;
    product *= dimension;
  }
  return product;
}
