//! Lines that what runs asks for: the question, its answer, and what becomes of either while no keeper listens.

use super::{Effect, Incoming, Machine, Running};
use crate::protocol::{EventBody, InputPrompt, Time, limits};

impl Machine {
    /// The user's line is about to go to the kernel: the question that it answers. `None`: none is waited for.
    pub fn take_input(&mut self, execution_id: &str) -> Option<InputPrompt> {
        self.running.as_mut().filter(|r| r.job.execution_id == execution_id)?.input.take()
    }

    /// The line did not go out.
    pub fn asks_again(&mut self, execution_id: &str, prompt: InputPrompt) {
        if let Some(running) = self.running.as_mut().filter(|r| r.job.execution_id == execution_id) {
            running.input.get_or_insert(prompt);
        }
    }

    /// The kernel's own state tells what line it waits for; `None`: it cannot tell.
    pub fn waits_for(&mut self, told: Option<Option<InputPrompt>>, now: Time) -> Vec<Effect> {
        let (Some(told), Some(running)) = (told, self.running.as_mut()) else { return Vec::new() };
        if told == running.input {
            return Vec::new();
        }
        let Some(prompt) = told else {
            let mut effects = Vec::new();
            close_input(running, &mut effects);
            return effects;
        };
        self.asks(prompt, now)
    }

    pub(super) fn stdin(&mut self, m: &Incoming, now: Time) -> Vec<Effect> {
        if m.kind != "input_request" {
            return Vec::new();
        }
        let mut prompt = m.content["prompt"].as_str().unwrap_or_default().to_owned();
        // It is told to every window, whatever the code asks.
        limits::cut(&mut prompt, limits::PROMPT);
        let password = m.content["password"].as_bool().unwrap_or(false);
        self.asks(InputPrompt { prompt, password }, now)
    }

    /// What runs asks for a line.
    fn asks(&mut self, prompt: InputPrompt, now: Time) -> Vec<Effect> {
        let mut effects = self.begin(None, now);
        let Some(running) = self.running.as_mut() else { return effects };
        running.input = Some(prompt.clone());
        let InputPrompt { prompt, password } = prompt;
        effects.push(Effect::Journal {
            execution_id: Some(running.job.execution_id.clone()),
            body: EventBody::InputRequest { prompt, password },
        });
        effects
    }
}

/// Nobody answers any more.
pub(super) fn close_input(running: &mut Running, effects: &mut Vec<Effect>) {
    if running.input.take().is_some() {
        let execution_id = Some(running.job.execution_id.clone());
        effects.push(Effect::Journal { execution_id, body: EventBody::InputReplied {} });
    }
}
