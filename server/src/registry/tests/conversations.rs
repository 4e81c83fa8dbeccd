//! The conversations' own file: order, limits, copies, names, and what is broken.

use super::*;
use crate::protocol::{Role, Turn};
use std::time::Duration;

fn open(folder: &Path) -> Conversations {
    let conversations = Conversations::open(folder).unwrap();
    assert_eq!(conversations.take_warnings(), Vec::<String>::new());
    conversations
}

fn fresh() -> (TempDir, Conversations) {
    let folder = TempDir::new().unwrap();
    let conversations = open(folder.path());
    (folder, conversations)
}

fn turn(role: Role, content: &str, at: i64) -> Turn {
    Turn { role, content: content.into(), at: Time(at) }
}

fn at(key: &str) -> Subject {
    let file = Some(FileIdentity { device: u64::MAX, inode: key.len() as u64, born: None });
    Subject { key: Some(key.into()), uri: Some(format!("file://{key}")), file, ..Subject::default() }
}

fn terms(now: i64) -> Terms {
    Terms { now: Time(now), lifetime: Some(Duration::from_millis(1)), most: 5 }
}

fn begin(conversations: &Conversations, id: &str, key: &str, time: i64) -> Result<Option<u32>> {
    conversations.begin(id, &at(key), &[turn(Role::User, id, time)], &terms(time))
}

fn ids(rows: Vec<ConversationRow>) -> String {
    rows.into_iter().map(|row| row.id).collect::<Vec<_>>().join(" ")
}

fn said(conversations: &Conversations, id: &str, most: u32) -> (u32, String) {
    let (count, turns) = conversations.turns(id, most).unwrap().unwrap();
    (count, turns.into_iter().map(|turn| turn.content).collect::<Vec<_>>().join(" "))
}

#[test]
fn turns_keep_their_order_and_the_latest_are_told() {
    let (folder, conversations) = fresh();
    assert_eq!(conversations.append("a", &turn(Role::User, "x", 1), None).unwrap(), None);
    assert_eq!(
        conversations.begin("a", &at("/a"), &[turn(Role::Tool, "0\nmore", 9)], &terms(9)).unwrap(),
        Some(1)
    );
    assert_eq!(conversations.conversation("a").unwrap().unwrap().title, "0");
    // Begun by two at once: the second one hears of it.
    assert_eq!(begin(&conversations, "a", "/b", 8).unwrap(), None);
    assert_eq!(conversations.append("a", &turn(Role::User, "a", 8), None).unwrap(), Some(2));
    for n in 3..=6 {
        let turn = turn(Role::Assistant, &n.to_string(), 10 - n);
        assert_eq!(open(folder.path()).append("a", &turn, None).unwrap(), Some(n as u32));
    }
    assert_eq!(said(&conversations, "a", 3), (6, "4 5 6".into()));
    assert_eq!(said(&conversations, "a", 100), (6, "0\nmore a 3 4 5 6".into()));
    let row = conversations.conversation("a").unwrap().unwrap();
    assert_eq!((row.title.as_str(), row.subject, row.turn_count), ("a", at("/a"), 6));
    assert_eq!((row.started_at, row.last_activity_at), (Time(9), Time(4)));
    assert!(conversations.turns("b", 1).unwrap().is_none());
}

#[test]
fn a_title_is_one_short_line() {
    let (_folder, conversations) = fresh();
    for (id, content, expect) in [
        ("a", "  \n hello \nworld".to_owned(), "hello".to_owned()),
        ("b", "é".repeat(100), "é".repeat(80)),
        ("c", String::new(), String::new()),
        ("d", "x\0y\r\nz".into(), "x\0y".into()),
    ] {
        let turns = [turn(Role::System, "be kind", 1), turn(Role::User, &content, 1)];
        conversations.begin(id, &Subject::default(), &turns, &terms(1)).unwrap();
        assert_eq!(conversations.conversation(id).unwrap().unwrap().title, expect, "{id}");
        assert_eq!(conversations.turns(id, 1).unwrap().unwrap().1[0].content, content);
    }
}

#[test]
fn so_many_and_no_more() {
    let (_folder, conversations) = fresh();
    for n in 1..=5 {
        assert_eq!(begin(&conversations, &format!("c{n}"), "/a", n).unwrap(), Some(1));
    }
    assert!(matches!(begin(&conversations, "more", "/a", 9), Err(Error::TooMany { live: 5 })));
    assert!(matches!(conversations.branch("c1", 1, "more", &terms(9)), Err(Error::TooMany { live: 5 })));
    conversations.append("c3", &turn(Role::User, "x", 9), None).unwrap();
    assert_eq!(ids(conversations.conversations().unwrap()), "c3 c5 c4 c2 c1");
    assert!(conversations.remove("c1", None).unwrap() && !conversations.remove("c1", None).unwrap());
    assert_eq!(begin(&conversations, "more", "/a", 9).unwrap(), Some(1));
}

#[test]
fn what_had_activity_meanwhile_is_not_removed() {
    let (_folder, conversations) = fresh();
    begin(&conversations, "old", "/a", 10).unwrap();
    begin(&conversations, "new", "/a", 20).unwrap();
    assert_eq!(ids(conversations.inactive(Time(12)).unwrap()), "old");
    conversations.append("old", &turn(Role::User, "again", 20), None).unwrap();
    assert!(!conversations.remove("old", Some(Time(21))).unwrap());
    assert!(conversations.remove("old", Some(Time(22))).unwrap());
    // Nothing of it is left for one that is begun under its id.
    begin(&conversations, "old", "/a", 30).unwrap();
    assert_eq!(said(&conversations, "old", 9), (1, "old".into()));
}

#[test]
fn a_branch_has_the_first_turns_and_a_life_of_its_own() {
    let (_folder, conversations) = fresh();
    begin(&conversations, "a", "/a", 1).unwrap();
    for n in 2..=4 {
        conversations.append("a", &turn(Role::Assistant, &n.to_string(), n), None).unwrap();
    }
    for bad in [0, 5] {
        assert!(conversations.branch("a", bad, "b", &terms(9)).unwrap().is_none());
    }
    assert!(conversations.branch("none", 1, "b", &terms(9)).unwrap().is_none());
    assert!(conversations.branch("a", 3, "b", &terms(9)).unwrap().is_some());
    conversations.append("b", &turn(Role::User, "other", 10), None).unwrap();
    assert_eq!(said(&conversations, "a", 9), (4, "a 2 3 4".into()));
    assert_eq!(said(&conversations, "b", 9), (4, "a 2 3 other".into()));
    let (count, turns) = conversations.turns("b", 9).unwrap().unwrap();
    assert_eq!((count, turns[2].at), (4, Time(3)));
    assert_eq!(conversations.conversation("b").unwrap().unwrap().subject, at("/a"));
}

#[test]
fn a_notebook_without_a_session_has_one_name() {
    let (_folder, conversations) = fresh();
    begin(&conversations, "a", "/w/a.ipynb", 1).unwrap();
    begin(&conversations, "b", "/w/sub/b.ipynb", 2).unwrap();
    begin(&conversations, "c", "/w0.ipynb", 3).unwrap();
    let sorted = |mut keys: Vec<String>| {
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(sorted(conversations.keys_below("/w").unwrap()), "/w/a.ipynb /w/sub/b.ipynb");
    assert_eq!(sorted(conversations.keys_of(at("/w/a.ipynb").file.unwrap()).unwrap()), "/w/a.ipynb");
    conversations.rebind("/w/a.ipynb", &at("/w/new.ipynb")).unwrap();
    let of = |session: Option<&str>, key: &str| Subject {
        session_id: session.map(sid),
        notebook: session.map(|_| 1),
        ..at(key)
    };
    conversations.rebind("/w/sub/b.ipynb", &of(Some("s"), "/w/sub/b.ipynb")).unwrap();
    let subjects = conversations.subjects().unwrap();
    let free = subjects.iter().filter(|one| one.session_id.is_none());
    assert_eq!(sorted(free.filter_map(|one| one.key.clone()).collect()), "/w/new.ipynb /w0.ipynb");
    // What has a session is not renamed by a path; when the session goes, it has one again.
    conversations.rebind("/w/sub/b.ipynb", &at("/x.ipynb")).unwrap();
    conversations.rebind_session(&sid("s"), 2, &at("/y.ipynb")).unwrap();
    assert_eq!(conversations.conversation("b").unwrap().unwrap().subject, of(Some("s"), "/w/sub/b.ipynb"));
    conversations.rebind_session(&sid("s"), 1, &at("/z.ipynb")).unwrap();
    assert_eq!(conversations.conversation("b").unwrap().unwrap().subject, at("/z.ipynb"));
}

#[test]
fn two_processes_lose_and_double_nothing() {
    let (folder, conversations) = fresh();
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let (barrier, folder) = (&barrier, folder.path());
            scope.spawn(move || {
                let own = open(folder);
                barrier.wait();
                for n in 0..50 {
                    let turn = turn(Role::User, &format!("{name}{n}"), n);
                    let turns = std::slice::from_ref(&turn);
                    let append = || wait(own.patiently(|own| own.append("c", &turn, None))).unwrap();
                    let begin =
                        || wait(own.patiently(|own| own.begin("c", &at("/a"), turns, &terms(n)))).unwrap();
                    while append().is_none() && begin().is_none() {}
                }
            });
        }
    });
    let (count, all) = said(&conversations, "c", 1_000);
    assert_eq!(count, 100);
    for name in ["a", "b"] {
        let own: Vec<&str> = all.split(' ').filter(|turn| turn.starts_with(name)).collect();
        let expect: Vec<String> = (0..50).map(|n| format!("{name}{n}")).collect();
        assert_eq!(own, expect);
    }
}

#[test]
fn a_damaged_file_is_set_aside_and_a_newer_one_refused() {
    let (folder, conversations) = fresh();
    begin(&conversations, "a", "/a", 1).unwrap();
    let path = folder.path().join("conversations.db");
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    drop(conversations);
    let before = fs::read(&path).unwrap();
    fs::write(&path, vec![7; 9_000]).unwrap();
    let conversations = Conversations::open(folder.path()).unwrap();
    let warnings = conversations.take_warnings();
    assert!(
        warnings[0].contains("conversations.db.corrupt-") && warnings[0].contains("no kernel"),
        "{warnings:?}"
    );
    assert_eq!(conversations.conversations().unwrap(), []);
    begin(&conversations, "b", "/b", 1).unwrap();
    drop(conversations);

    fs::write(&path, before).unwrap();
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let newer = fs::read(&path).unwrap();
    let error = Conversations::open(folder.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Newer { file: "conversations.db", found: 99, known: 1 }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), newer);
}

#[test]
fn damage_that_is_met_later_is_recovered_from() {
    let (folder, conversations) = fresh();
    for n in 0..5 {
        let turns = [turn(Role::User, &"x".repeat(20_000), n)];
        conversations.begin(&format!("c{n}"), &at("/a"), &turns, &terms(n)).unwrap();
    }
    drop(conversations);
    let path = folder.path().join("conversations.db");
    let mut bytes = fs::read(&path).unwrap();
    // All but the first pages of tables and indexes: opening sees nothing of it.
    bytes[8 * 4_096..].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let conversations = open(folder.path());
    // Whoever meets it sets the file aside and goes on.
    assert!(conversations.turns("c1", 9).unwrap().is_none());
    assert_eq!(conversations.take_warnings().len(), 1);
    assert_eq!(conversations.conversations().unwrap(), []);
    begin(&conversations, "new", "/a", 1).unwrap();
}

#[test]
fn the_registrys_loss_is_not_theirs() {
    let (folder, conversations) = fresh();
    let registry = super::open(folder.path());
    begin(&conversations, "a", "/a", 1).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(folder.path().join(format!("registry.db{suffix}")));
    }
    assert_eq!(registry.sessions(true).unwrap(), []);
    assert_eq!(said(&conversations, "a", 1), (1, "a".into()));
    assert_eq!(said(&open(folder.path()), "a", 1), (1, "a".into()));
}

#[test]
fn a_row_that_cannot_be_read_or_trusted_costs_no_other() {
    let (folder, conversations) = fresh();
    for (n, id) in ["a", "b", "c"].into_iter().enumerate() {
        begin(&conversations, id, "/a", n as i64).unwrap();
    }
    let hostile = Connection::open(folder.path().join("conversations.db")).unwrap();
    hostile.execute_batch("UPDATE conversations SET title = x'ff00' WHERE id = 'a'").unwrap();
    hostile.execute_batch("UPDATE conversations SET session_id = '../../x' WHERE id = 'b'").unwrap();
    assert_eq!(ids(conversations.conversations().unwrap()), "c b");
    assert_eq!(conversations.conversation("b").unwrap().unwrap().subject.session_id, None);
    assert!(conversations.conversation("a").is_err());
    assert_eq!(conversations.take_warnings(), Vec::<String>::new(), "nothing was set aside");
}
