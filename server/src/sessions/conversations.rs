//! What people and agents said about a notebook, kept for a while after the last turn, and as long as its session lives.
//!
//! A commit comes before each answer. What a client appends is in the order of its requests: nothing is awaited before
//! the commit. Whose a conversation is stands in `conversations/subject.rs`, what leaves and comes as a file in
//! `conversations/text.rs`.

mod subject;
mod text;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::subject::Standing;
use super::{Event, Sessions, invalid, lock};
use crate::protocol::*;
use crate::registry::{self, ConversationRow, Conversations, Seen, Subject, Terms};

/// An expired conversation is removed when two looks agree that are so far apart, or its lifetime where that is shorter.
const BETWEEN_LOOKS: Duration = Duration::from_secs(3_600);
/// How long an id may be, in characters.
const LONGEST_ID: usize = 200;

/// The conversations' database, opened when it is needed first.
pub(super) struct Store {
    open: Mutex<Option<Arc<Conversations>>>,
    /// The state of it that the client knows from its last list, or was told of since; negative: it never asked.
    told: AtomicI64,
}

impl Default for Store {
    fn default() -> Store {
        Store { open: Mutex::default(), told: AtomicI64::new(-1) }
    }
}

impl Sessions {
    /// `keeper/conversation/append`: begins the conversation where there is none.
    pub async fn append_turn(self: &Arc<Self>, asked: &AppendTurnParams) -> Result<AppendTurnResult, Error> {
        let id = checked(&asked.conversation_id)?;
        let now = Time::now();
        let turn = Turn { role: asked.role, content: asked.content.clone(), at: now };
        let turn_count = loop {
            if let Some(row) = self.kept(id)? {
                self.keep_name(&row.subject)?;
                self.check_owner(id, asked)?;
                let lifetime = self.settings().conversation_expire_after;
                if let Some(count) = self.write_store(|store| store.append(id, &turn, lifetime)).await? {
                    break count;
                }
            }
            let subject = self.subject(asked.session_id.as_deref(), asked.notebook_uri.as_deref())?;
            let Some(subject) = subject else {
                let what = "there is no such conversation, or it has expired: the first turn of one names its \
                            session or its notebook";
                return Err(invalid("sessionId", what));
            };
            let terms = self.terms(now)?;
            // One of this id that has expired may yet be told, should only the clock be wrong.
            let hidden = self.hidden(id)?;
            if let Some(hidden) = hidden {
                let id = crate::ids::unique();
                self.write_store(|store| store.make_way(&hidden, &id)).await?;
            }
            // Where it was begun elsewhere meanwhile, it is looked at as that.
            let turns = std::slice::from_ref(&turn);
            let begun = self.write_store(|store| store.begin(id, &subject, turns, &terms)).await?;
            if let Some(count) = begun {
                break count;
            }
        };
        self.ring();
        Ok(AppendTurnResult { turn_count })
    }

    /// `keeper/conversation/history`: the latest turns, oldest first.
    pub async fn conversation_history(
        self: &Arc<Self>,
        id: &str,
        max_turns: Option<u32>,
    ) -> Result<ConversationHistoryResult, Error> {
        let most = max_turns.unwrap_or_else(|| self.settings().conversation_max_turns);
        if most == 0 {
            return Err(invalid("maxTurns", "at least 1"));
        }
        self.present_row(id)?;
        let read = self.in_store(|store| store.turns(id, most))?;
        let (turn_count, history) = read.ok_or_else(|| unknown(id))?;
        Ok(ConversationHistoryResult { conversation_id: id.to_owned(), turn_count, history })
    }

    /// `keeper/conversation/info`: with the kernel's variables, which are asked now.
    pub async fn conversation_info(self: &Arc<Self>, id: &str) -> Result<ConversationInfo, Error> {
        self.keep_name(&self.present_row(id)?.subject)?;
        let row = self.present_row(id)?;
        let shown = self.conversation_of(row);
        let variables = match shown.session_id.as_deref() {
            // Whoever asks about a conversation is not refused because a kernel does not answer.
            Some(session) => self.variables(session).await.ok(),
            None => None,
        };
        Ok(ConversationInfo {
            conversation_id: shown.conversation_id,
            variables_stale: match &variables {
                Some(known) => known.stale,
                None => shown.session_id.is_some(),
            },
            session_id: shown.session_id,
            notebook_path: shown.notebook_path,
            turn_count: shown.turn_count,
            last_activity_at: shown.last_activity_at,
            variables: variables.map(|known| known.variables).unwrap_or_default(),
        })
    }

    /// `keeper/conversation/list`: all, or those of a session, or of a notebook whatever it was called; the latest first.
    pub async fn conversations(
        self: &Arc<Self>,
        asked: &ListConversationsParams,
    ) -> Result<Vec<Conversation>, Error> {
        let notebook = asked.notebook_uri.as_deref().map(NotebookName::parse).transpose();
        let notebook = notebook.map_err(|why| invalid("notebookUri", why))?;
        if let Some(id) = asked.session_id.as_deref() {
            self.must_exist(id)?;
        }
        self.conversations.told.store(0, Ordering::Relaxed);
        self.forget_expired()?;
        if !self.has_conversations() {
            return Ok(Vec::new());
        }
        if let Some(notebook) = &notebook {
            self.find_conversations(notebook)?;
        }
        self.join_sessions()?;
        let places = notebook.map(|notebook| self.places(&notebook)).transpose()?;
        self.conversations.told.store(self.in_store(Conversations::change_counter)?, Ordering::Relaxed);
        let mut rows = self.in_store(Conversations::conversations)?;
        let now = Time::now();
        rows.retain(|row| !self.has_expired(row, now, 1));
        rows.retain(|row| {
            let of_session = asked.session_id.is_none() || row.subject.session_id == asked.session_id;
            of_session && places.as_ref().is_none_or(|places| places.hold(&row.subject))
        });
        Ok(rows.into_iter().map(|row| self.conversation_of(row)).collect())
    }

    /// `keeper/conversation/clear`: forgets it. False where there was none.
    pub async fn clear_conversation(self: &Arc<Self>, id: &str) -> Result<bool, Error> {
        let id = checked(id)?;
        // One that has expired goes, too, though it counts as none.
        let was_known = self.kept(id)?.is_some();
        let cleared =
            self.has_conversations() && self.write_store(|store| store.remove(id, None)).await? && was_known;
        if cleared {
            self.ring();
        }
        Ok(cleared)
    }

    /// `keeper/conversation/branch`: a new conversation that begins with the first turns of another. Gives its id.
    pub async fn branch_conversation(self: &Arc<Self>, id: &str, at_turn: u32) -> Result<String, Error> {
        let row = self.present_row(id)?;
        if !(1..=row.turn_count).contains(&at_turn) {
            return Err(invalid("atTurn", format!("from 1 to {}, the turns that it has", row.turn_count)));
        }
        let (new, terms) = (crate::ids::unique(), self.terms(Time::now())?);
        let done = self.write_store(|store| store.branch(id, at_turn, &new, &terms)).await?;
        done.ok_or_else(|| unknown(id))?;
        self.ring();
        Ok(new)
    }

    /// `keeper/conversation/export`: the whole of it, for people and for `import`.
    pub async fn export_conversation(self: &Arc<Self>, id: &str) -> Result<ExportConversationResult, Error> {
        self.keep_name(&self.present_row(id)?.subject)?;
        let row = self.present_row(id)?;
        let read = self.in_store(|store| store.turns(id, u32::MAX))?;
        let (_, turns) = read.ok_or_else(|| unknown(id))?;
        let shown = self.conversation_of(row);
        let markdown = text::markdown(&shown, &turns);
        Ok(ExportConversationResult { markdown, json: text::json(&shown, turns) })
    }

    /// The latest turns as Markdown, or all of them.
    pub async fn conversation_markdown(
        self: &Arc<Self>,
        id: &str,
        most: Option<u32>,
    ) -> Result<String, Error> {
        let row = self.present_row(id)?;
        let read = self.in_store(|store| store.turns(id, most.unwrap_or(u32::MAX)))?;
        let (_, turns) = read.ok_or_else(|| unknown(id))?;
        Ok(text::markdown(&self.conversation_of(row), &turns))
    }

    /// `keeper/conversation/import`: what `export` gave, as a new conversation. Gives its id.
    pub async fn import_conversation(
        self: &Arc<Self>,
        asked: &ImportConversationParams,
    ) -> Result<String, Error> {
        let import = text::import(&asked.json)?;
        let subject = self.subject(asked.session_id.as_deref(), asked.notebook_uri.as_deref())?;
        let subject = subject.unwrap_or_else(|| self.subject_of_import(&import));
        let (new, terms) = (crate::ids::unique(), self.terms(Time::now())?);
        self.write_store(|store| store.begin(&new, &subject, &import.turns, &terms)).await?;
        self.ring();
        Ok(new)
    }

    /// Tells the client where conversations changed since it was told last. Who never asked for a list is not told.
    pub fn look_for_conversations(&self) {
        let told = self.conversations.told.load(Ordering::Relaxed);
        if told < 0 || !self.has_conversations() {
            return;
        }
        let Ok(counter) = self.in_store(Conversations::change_counter) else { return };
        if told != counter {
            self.conversations.told.store(counter, Ordering::Relaxed);
            self.emit(Event::Conversations);
        }
    }

    /// Whether there are any, as far as it can be known without making the database.
    fn has_conversations(&self) -> bool {
        Conversations::exist(&self.folders.state)
    }

    /// The conversation of this id, unless it is unknown or has expired.
    fn kept(&self, id: &str) -> Result<Option<ConversationRow>, Error> {
        if !self.has_conversations() {
            return Ok(None);
        }
        let Some(row) = self.in_store(|store| store.conversation(id))? else { return Ok(None) };
        Ok((!self.has_expired(&row, Time::now(), 1)).then_some(row))
    }

    /// The same for who needs it.
    fn present_row(&self, id: &str) -> Result<ConversationRow, Error> {
        self.kept(checked(id)?)?.ok_or_else(|| unknown(id))
    }

    /// The conversation of this id that has expired.
    fn hidden(&self, id: &str) -> Result<Option<ConversationRow>, Error> {
        if !self.has_conversations() {
            return Ok(None);
        }
        let row = self.in_store(|store| store.conversation(id))?;
        Ok(row.filter(|row| self.has_expired(row, Time::now(), 1)))
    }

    /// Whether its last turn was too long ago, by so many times its lifetime. Never while its session lives; and the end of that is activity, too, so
    /// that a kernel's death takes nothing that was said before it.
    fn has_expired(&self, row: &ConversationRow, now: Time, times: i64) -> bool {
        let limit = Time(now.0 - row.lifetime.as_millis() as i64 * times);
        if row.last_activity_at >= limit {
            return false;
        }
        // What cannot be known now takes nothing.
        let Ok(subject) = self.whose(&row.subject) else { return false };
        let Some(session) = subject.session_id.as_deref() else { return true };
        match self.standing(session) {
            Ok(Standing::Ended(at)) => at < limit,
            Ok(Standing::Unknown) => true,
            Ok(Standing::Lives) | Err(_) => false,
        }
    }

    /// Removes what has expired for good; gives how many are left that have expired. A clock that jumps forward hides them
    /// at once and takes none: one goes at twice its lifetime, and only when a look says so that comes an hour awake after
    /// another of the same boot, and none in between said otherwise.
    pub(super) fn forget_expired(&self) -> Result<u32, Error> {
        if !self.has_conversations() {
            return Ok(0);
        }
        let now = Time::now();
        let seen = Seen { boot: crate::process::boot_id(), awake: crate::process::awake_milliseconds() };
        let mut hidden = 0;
        for row in self.in_store(|store| store.inactive(now))? {
            let is_long_ago = self.has_expired(&row, now, 2);
            let before = row.seen.as_ref().filter(|before| before.boot == seen.boot);
            let wait = row.lifetime.min(BETWEEN_LOOKS).as_millis() as i64;
            match before {
                // Unless somebody appends to it just now.
                Some(before) if is_long_ago && seen.awake - before.awake >= wait => {
                    self.tidy_store(|store| store.remove(&row.id, Some(now)).map(drop))?;
                    continue;
                }
                Some(_) if is_long_ago => {}
                None if is_long_ago => self.tidy_store(|store| store.set_seen(&row.id, Some(&seen)))?,
                _ if row.seen.is_some() => self.tidy_store(|store| store.set_seen(&row.id, None))?,
                _ => {}
            }
            hidden += u32::from(self.has_expired(&row, now, 1));
        }
        Ok(hidden)
    }

    /// On what terms one begins; those that have expired take no room.
    fn terms(&self, now: Time) -> Result<Terms, Error> {
        let hidden = self.forget_expired()?;
        let settings = self.settings();
        let lifetime = settings.conversation_expire_after;
        Ok(Terms { now, lifetime, most: settings.max_conversations.saturating_add(hidden) })
    }

    /// One look into the database.
    fn in_store<T>(&self, look: impl Fn(&Conversations) -> registry::Result<T>) -> Result<T, Error> {
        look(&*self.store()?).map_err(|e| self.failed(e))
    }

    /// A change that is asked for: tried at once, before anything is awaited, and waited for where another process writes,
    /// in the order of the requests.
    async fn write_store<T>(
        &self,
        change: impl FnMut(&Conversations) -> registry::Result<T>,
    ) -> Result<T, Error> {
        self.store()?.patiently(change).await.map_err(|e| self.failed(e))
    }

    /// A change that the next look makes as well: left to that while another process writes.
    fn tidy_store(&self, change: impl Fn(&Conversations) -> registry::Result<()>) -> Result<(), Error> {
        match change(&*self.store()?) {
            Err(registry::Error::Busy) => Ok(()),
            done => done.map_err(|e| self.failed(e)),
        }
    }

    fn store(&self) -> Result<Arc<Conversations>, Error> {
        let mut open = lock(&self.conversations.open);
        let store = match open.as_ref() {
            Some(store) => store.clone(),
            None => {
                let store = Conversations::open(&self.folders.state).map_err(|e| self.failed(e))?;
                open.insert(Arc::new(store)).clone()
            }
        };
        store.take_warnings().into_iter().for_each(|warning| self.emit(Event::Warning(warning)));
        Ok(store)
    }

    fn failed(&self, e: registry::Error) -> Error {
        let registry::Error::TooMany { .. } = e else { return super::store_failed(e) };
        let live = self.settings().max_conversations;
        let what = format!(
            "{live} conversations are kept, as many as the setting kernelKeeper.conversations.maxConversations, or \
             KERNEL_KEEPER_MAX_CONVERSATIONS, allows: clear some of them, or wait until some expire"
        );
        Error::new(ErrorKind::LimitReached, what).with("limit", live).with("what", "conversation")
    }
}

/// An id is a client's own text.
fn checked(id: &str) -> Result<&str, Error> {
    let length = id.chars().count();
    if (1..=LONGEST_ID).contains(&length) && !id.chars().any(char::is_control) {
        return Ok(id);
    }
    let what = format!("1 to {LONGEST_ID} characters, none of them a control character");
    Err(invalid("conversationId", what))
}

fn unknown(id: &str) -> Error {
    let shown: String = id.chars().take(60).collect();
    let what =
        format!("the conversation \"{shown}\" is unknown or has expired: list them to see which there are");
    Error::new(ErrorKind::NotFound, what).with("what", "conversation").with("conversationId", shown)
}
