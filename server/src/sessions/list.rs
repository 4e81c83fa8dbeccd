//! Listing: live sessions from memory, ended ones from the registry.

use std::sync::Arc;

use super::{Sessions, store_failed};
use crate::keeper::Record;
use crate::protocol::{Error, Session, SessionState};

impl Sessions {
    /// All sessions, newest activity first. Live ones come from memory, whatever the registry's size.
    pub async fn list(self: &Arc<Self>, include_ended: bool) -> Result<Vec<Session>, Error> {
        let mut sessions: Vec<Session> = self.live.iter().map(|live| live.session.clone()).collect();
        sessions = sessions.into_iter().map(|session| self.present(session)).collect();
        let rows = self.registry().sessions(include_ended).map_err(store_failed)?;
        let (host, mut missed) = (crate::process::host(), false);
        for row in rows.into_iter().filter(|row| !self.live.contains_key(&row.id)) {
            let record = Record::of_row(&row).or_else(|| Record::read(&self.folders, &row.id).ok());
            let Some(record) = record else { continue };
            let is_ours = row.live && row.host == host;
            missed |= is_ours;
            // Ended, or another host's; or one that we have not joined yet: a list leaves nothing out.
            sessions.push(match is_ours {
                true => self.present(record.unseen()),
                false => record.to_session(SessionState::Idle),
            });
        }
        if missed {
            let sessions = self.clone();
            tokio::spawn(async move { sessions.refresh(true).await });
        }
        sessions.sort_by_key(|session| std::cmp::Reverse(session.last_activity_at));
        Ok(sessions)
    }

    /// One session, live or ended.
    pub fn get(&self, id: &str) -> Result<Session, Error> {
        match self.cached(id) {
            Some(session) => Ok(session),
            None => Ok(self.record(id)?.unseen()),
        }
    }

    /// The ids of this host's live sessions.
    pub fn live_ids(&self) -> Vec<String> {
        self.live.iter().map(|live| live.key().clone()).collect()
    }
}
