// A second notebook controller: what any other extension with kernels looks like to ours.
// Guarantees: every cell succeeds with one line of output. Leaves out: everything else.
const vscode = require('vscode');

exports.activate = (context) => {
  const controller = vscode.notebooks.createNotebookController('other-kernel', 'jupyter-notebook', 'Other Kernel');
  controller.supportedLanguages = ['python'];
  controller.executeHandler = async (cells) => {
    for (const cell of cells) {
      const execution = controller.createNotebookCellExecution(cell);
      execution.start(Date.now());
      const item = vscode.NotebookCellOutputItem.text('the other kernel ran', 'text/plain');
      await execution.replaceOutput(new vscode.NotebookCellOutput([item]));
      execution.end(true, Date.now());
    }
  };
  context.subscriptions.push(controller);
};
