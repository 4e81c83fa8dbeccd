// Calls a language-model tool: what an agent of the editor does, but that a file says which one.
// Guarantees: `answer.json` has the tool's texts, or what it failed with. Leaves out: any model.
const vscode = require('vscode');

exports.activate = (context) => {
  const call = async () => {
    const file = (name) => vscode.Uri.joinPath(vscode.workspace.workspaceFolders[0].uri, name);
    const { name, input } = JSON.parse(Buffer.from(await vscode.workspace.fs.readFile(file('call.json'))).toString());
    let answer = {};
    try {
      const { content } = await vscode.lm.invokeTool(name, { input, toolInvocationToken: undefined });
      answer = { text: content.map((part) => part.value).join('\n') };
    } catch (error) {
      answer = { error: error.message };
    }
    const tools = vscode.lm.tools.map((tool) => tool.name).filter((one) => one.startsWith('kernelKeeper_'));
    await vscode.workspace.fs.writeFile(file('answer.json'), Buffer.from(JSON.stringify({ ...answer, tools })));
  };
  context.subscriptions.push(vscode.commands.registerCommand('toolCaller.call', call));
};
