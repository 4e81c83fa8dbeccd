// An agent: `kernel-keeper mcp` as any client of the protocol uses it, on a story's own folders.
// Guarantees: an answer that is an error fails with its text; its server ends with the story, if not before.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Agent {
  static async begin(run) {
    const agent = new Agent();
    run.agent = agent;
    agent.answers = new Map();
    agent.process = spawn(process.env.KERNEL_KEEPER_BINARY, ['mcp'], { env: { ...process.env, ...run.environment } });
    agent.process.stderr.on('data', (text) => (agent.said = ((agent.said ?? '') + text).slice(-2_000)));
    agent.process.on('exit', (code) => {
      for (const { reject } of agent.answers.values()) reject(new Error(`kernel-keeper mcp ended with ${code}: ${agent.said ?? ''}`));
    });
    createInterface({ input: agent.process.stdout }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line);
      const waiting = agent.answers.get(id);
      agent.answers.delete(id);
      if (error) waiting?.reject(new Error(error.message));
      else waiting?.resolve(result);
    });
    const about = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'story', version: '1' } };
    await agent.ask('initialize', about);
    agent.send({ method: 'notifications/initialized' });
    return agent;
  }

  /** Calls a tool, and gives the texts of its answer. */
  async call(name, input) {
    const { content, isError } = await this.ask('tools/call', { name, arguments: input });
    const text = content.map((part) => part.text ?? `[${part.type}]`).join('\n');
    if (isError) throw new Error(`${name}: ${text}`);
    return text;
  }

  ask(method, params) {
    const id = (this.last = (this.last ?? 0) + 1);
    return new Promise((resolve, reject) => {
      this.answers.set(id, { resolve, reject });
      this.send({ id, method, params });
    });
  }

  send(message) {
    this.process.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  /** The agent goes, as it does when its client ends. */
  async end() {
    const gone = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.stdin.end();
    await gone;
  }
}
