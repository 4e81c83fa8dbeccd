/** The headings of groups, in words. */
import * as vscode from 'vscode';
import type { Group, GroupId } from '../groups';

export function groupTitle(id: GroupId): string {
  switch (id) {
    case 'thisWindow':
      return vscode.l10n.t('This window');
    case 'otherWindows':
      return vscode.l10n.t('Other windows');
    case 'detached':
      return vscode.l10n.t('Detached');
    case 'attention':
      return vscode.l10n.t('Needs attention');
    case 'ended':
      return vscode.l10n.t('Recently ended');
  }
}

export function groupItem({ id, sessions }: Group): vscode.TreeItem {
  const { Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
  const title = groupTitle(id);
  const item = new vscode.TreeItem(title, id === 'ended' ? Collapsed : Expanded);
  item.id = `group ${id}`;
  item.description = String(sessions.length);
  item.contextValue = 'group';
  item.tooltip = explanationOf(id);
  const count = sessions.length === 1 ? vscode.l10n.t('1 kernel') : vscode.l10n.t('{0} kernels', sessions.length);
  item.accessibilityInformation = { label: `${title}, ${count}` };
  return item;
}

function explanationOf(id: GroupId): string {
  switch (id) {
    case 'thisWindow':
      return vscode.l10n.t('Kernels of notebooks that are open in this window');
    case 'otherWindows':
      return vscode.l10n.t('Kernels of notebooks that are open in other windows only');
    case 'detached':
      return vscode.l10n.t('Kernels that run on, while no window shows their notebooks');
    case 'attention':
      return vscode.l10n.t('Kernels that died, do not answer, wait for input, or whose notebook is gone');
    case 'ended':
      return vscode.l10n.t('Kernels that ended in the last 24 hours');
  }
}
