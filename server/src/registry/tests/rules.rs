//! What the registry promises to a single caller.

use super::*;

#[test]
fn sessions_are_listed_newest_activity_first() {
    let (_folder, registry) = fresh();
    for (id, activity) in [("a", 2), ("b", 3), ("c", 1)] {
        registry.put_session(&session(id, activity)).unwrap();
    }
    let ids = |ended| {
        registry
            .sessions(ended)
            .unwrap()
            .into_iter()
            .map(|row| short(&row.id).to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(ids(false), "b a c");
    end(&registry, "b");
    assert_eq!((ids(false), ids(true)), ("a c".into(), "b a c".into()));
    let ended = registry.session(&sid("b")).unwrap().unwrap();
    assert_eq!(
        (ended.live, ended.ended_at, ended.document.as_str()),
        (false, Some(Time(9)), "{\"ended\":true}")
    );
    assert!(registry.remove_session(&sid("b")).unwrap());
    assert!(!registry.remove_session(&sid("b")).unwrap());
    assert_eq!(registry.session(&sid("b")).unwrap(), None);
    assert!(matches!(registry.end_session(&sid("b"), Time(1), ""), Err(Error::Missing { .. })));
}

#[test]
fn a_notebook_has_one_live_session() {
    let (_folder, registry) = fresh();
    start(&registry, "a", "/n.ipynb");
    let taken = |result: Result<()>| match result {
        Err(Error::Taken { session_id }) => short(&session_id).to_owned(),
        other => panic!("{other:?}"),
    };
    let wanted = [binding("b", 0, "/free.ipynb"), binding("b", 1, "/n.ipynb")];
    assert_eq!(taken(registry.reserve(&session("b", 1), &wanted)), "a");
    assert_eq!(registry.session(&sid("b")).unwrap(), None);
    assert_eq!(registry.binding_by_key("/free.ipynb").unwrap(), None);
    assert_eq!(taken(registry.add_binding(&binding("b", 0, "/n.ipynb"), &[])), "a");

    end(&registry, "a");
    start(&registry, "b", "/n.ipynb");
    assert_eq!(taken(registry.revive_session(&session("a", 5), &[binding("a", 0, "/n.ipynb")])), "b");
    assert!(!registry.session(&sid("a")).unwrap().unwrap().live);
    end(&registry, "b");
    registry.revive_session(&session("a", 5), &[binding("a", 0, "/n.ipynb")]).unwrap();
    assert!(registry.session(&sid("a")).unwrap().unwrap().live);
    assert_eq!(history(&registry, "/n.ipynb"), "a b");
}

#[test]
fn a_session_is_rebound_from_where_it_is_expected() {
    let (_folder, registry) = fresh();
    start(&registry, "a", "/a.ipynb");
    start(&registry, "b", "/b.ipynb");
    assert!(matches!(
        rebind(&registry, "a", "/other.ipynb", "/c.ipynb", &[]),
        Err(Error::Moved { key, uri }) if key == "/a.ipynb" && uri == "file:///a.ipynb"
    ));
    assert!(matches!(
        rebind(&registry, "a", "/a.ipynb", "/b.ipynb", &[]),
        Err(Error::Taken { session_id }) if short(&session_id) == "b"
    ));
    assert!(matches!(rebind(&registry, "x", "/a.ipynb", "/c.ipynb", &[]), Err(Error::Missing { .. })));
    assert_eq!(rebind(&registry, "a", "/a.ipynb", "/c.ipynb", &[]).unwrap(), binding("a", 0, "/a.ipynb"));
    assert_eq!(registry.bindings(&sid("a")).unwrap(), [binding("a", 0, "/c.ipynb")]);
    assert_eq!(registry.binding_by_key("/a.ipynb").unwrap(), None);
    // To where it is: nothing to take, nothing lost.
    rebind(&registry, "a", "/c.ipynb", "/c.ipynb", &[]).unwrap();
    assert_eq!(registry.live_bindings().unwrap().len(), 2);
}

#[test]
fn history_follows_a_notebook_through_its_names() {
    let (_folder, registry) = fresh();
    start(&registry, "past", "/a.ipynb");
    end(&registry, "past");
    start(&registry, "new", "/a.ipynb");
    assert_eq!(history(&registry, "/a.ipynb"), "new past");
    rebind(&registry, "new", "/a.ipynb", "/b.ipynb", &[]).unwrap();
    assert_eq!(
        (history(&registry, "/a.ipynb"), history(&registry, "/b.ipynb")),
        ("".into(), "new past".into())
    );
    // Another notebook under the old name begins with none of it.
    start(&registry, "next", "/a.ipynb");
    rebind(&registry, "new", "/b.ipynb", "/c.ipynb", &[]).unwrap();
    assert_eq!(history(&registry, "/a.ipynb"), "next");
    assert_eq!(history(&registry, "/c.ipynb"), "new past");
}

#[test]
fn a_swap_swaps_the_histories() {
    let (_folder, registry) = fresh();
    for key in ["a", "b"] {
        start(&registry, &format!("{key}-past"), &format!("/{key}.ipynb"));
        end(&registry, &format!("{key}-past"));
        start(&registry, key, &format!("/{key}.ipynb"));
    }
    rebind(&registry, "a", "/a.ipynb", "/b.ipynb", &[("b", 0)]).unwrap();
    assert!(!registry.bindings(&sid("b")).unwrap()[0].live);
    rebind(&registry, "b", "/b.ipynb", "/a.ipynb", &[]).unwrap();
    assert_eq!(history(&registry, "/a.ipynb"), "b bxpast");
    assert_eq!(history(&registry, "/b.ipynb"), "a axpast");
}

#[test]
fn a_release_is_undone_where_the_rebinding_fails() {
    let (_folder, registry) = fresh();
    for id in ["a", "b", "c"] {
        start(&registry, id, &format!("/{id}.ipynb"));
    }
    assert!(rebind(&registry, "a", "/a.ipynb", "/b.ipynb", &[("c", 0)]).is_err());
    assert!(registry.bindings(&sid("c")).unwrap()[0].live);
}

#[test]
fn a_shared_kernel_has_several_notebooks() {
    let (_folder, registry) = fresh();
    start(&registry, "s", "/a.ipynb");
    registry.add_binding(&binding("s", 1, "/bb.ipynb"), &[]).unwrap();
    let file = FileIdentity { device: u64::MAX, inode: "/bb.ipynb".len() as u64, born: Some(7) };
    assert_eq!(registry.bindings_by_file(file).unwrap(), [binding("s", 1, "/bb.ipynb")]);
    let saved = FileIdentity { device: 1, inode: 2, born: None };
    registry.set_file_identity(&sid("s"), 1, saved).unwrap();
    assert_eq!(registry.bindings_by_file(file).unwrap(), []);
    assert_eq!(registry.bindings_by_file(saved).unwrap().len(), 1);
    registry.release_binding(&sid("s"), 0).unwrap();
    assert_eq!(registry.binding_by_key("/a.ipynb").unwrap(), None);
    assert_eq!(history(&registry, "/a.ipynb"), "s");
}

#[test]
fn windows_are_kept() {
    let (_folder, registry) = fresh();
    let window = Window {
        id: "w".into(),
        pid: 7,
        start: u64::MAX,
        boot: "boot".into(),
        host: "host".into(),
        document: "{}".into(),
        open_notebooks: vec!["/a \"quoted\".ipynb".into()],
        last_seen: Time(1),
        has_sidecar: true,
        seen_awake: Some(5),
        ..Window::default()
    };
    assert!(registry.put_window(&window).unwrap());
    assert_eq!(registry.windows().unwrap(), std::slice::from_ref(&window));
    // What it is said to be, and its token, are not the sidecar's to forget.
    let said = registry.change_window("w", |w| {
        (w.about, w.token, w.reconnect_count) = ("{\"status\":\"x\"}".into(), Some("t".into()), 3);
    });
    assert!(said.unwrap().is_some());
    assert_eq!(registry.change_window("x", |_| ()).unwrap(), None);
    assert!(!registry.put_window(&Window { last_seen: Time(2), ..window.clone() }).unwrap());
    let found = registry.window("w").unwrap().unwrap();
    assert_eq!((found.last_seen, found.reconnect_count, found.token.as_deref()), (Time(2), 3, Some("t")));
    registry.change_window("w", |w| w.disconnected_at = Some(Time(3))).unwrap();
    assert!(registry.put_window(&window).unwrap());
    assert_eq!(registry.window("w").unwrap().unwrap().disconnected_at, None);
    let other = Window { id: "v".into(), ..Window::default() };
    let added = registry.add_window(&other, |w| w.id == "v", |w| w.about = "1".into()).unwrap();
    let again = registry.add_window(&Window { id: "u".into(), ..other }, |w| w.about == "1", |_| ()).unwrap();
    assert_eq!((added.id.as_str(), again.id.as_str()), ("v", "v"));
    assert!(registry.remove_window("w").unwrap());
    assert!(!registry.remove_window("w").unwrap());
}

#[test]
fn events_are_counted_and_forgotten() {
    let (_folder, registry) = fresh();
    for (at, kind) in [(1, "a"), (2, "b"), (3, "a")] {
        registry.note(&Event { at: Time(at), kind: kind.into(), ..Event::default() }).unwrap();
    }
    assert_eq!(registry.events(2).unwrap().iter().map(|e| e.at.0).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(registry.event_counts(Time(2)).unwrap(), [("a".into(), 1), ("b".into(), 1)].into());
    registry.forget_events(Time(3)).unwrap();
    assert_eq!(registry.events(9).unwrap().len(), 1);
}

#[test]
fn an_earlier_build_is_not_refused_for_what_was_added() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    // As the first build left it.
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("../schema-1.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let old = "INSERT INTO windows (id, pid, start, boot, host, document, open_notebooks, last_seen)
        VALUES ('w', 1, 1, '', '', '{}', '[]', 1)";
    connection.execute_batch(old).unwrap();
    let registry = open(folder.path());
    assert_eq!(registry.windows().unwrap()[0].about, "{}");
    // It goes on writing as it did, and finds the format that it knows.
    connection.execute_batch(&old.replace("'w'", "'v'")).unwrap();
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    assert_eq!(registry.windows().unwrap().len(), 2);
}

#[test]
fn one_question_a_notebook() {
    use OfferKind::{Migrate, Recover, Resume};
    let (_folder, registry) = fresh();
    let check = |id: &str, kind, sessions: &[&str], expect: Raised| {
        assert_eq!(
            registry.raise_offer(&offer(id, kind, "/n.ipynb", sessions), None).unwrap(),
            expect,
            "{id}"
        );
    };
    let row = |id, kind, sessions: &[&str]| offer(id, kind, "/n.ipynb", sessions);
    check("1", Resume, &["a"], Raised::New);
    check("2", Resume, &["a"], Raised::Existing(row("1", Resume, &["a"])));
    check("3", Recover, &["a"], Raised::Replaced(row("1", Resume, &["a"])));
    check("4", Recover, &["b"], Raised::Replaced(row("3", Recover, &["a"])));
    check("5", Migrate, &["b"], Raised::Replaced(row("4", Recover, &["b"])));
    assert_eq!(registry.offer("4").unwrap(), None);
    assert!(registry.move_offer("5", Some("w")).unwrap());
    assert_eq!(registry.offer("5").unwrap().unwrap().window_id.as_deref(), Some("w"));
    assert!(registry.withdraw_offer("5").unwrap());
    assert!(!registry.withdraw_offer("5").unwrap());
    assert!(!registry.move_offer("5", None).unwrap());
    assert_eq!(registry.take_offer("5").unwrap(), None);
}

#[test]
fn dismissals_last_until_the_notebook_is_opened() {
    use OfferKind::{Migrate, Resume};
    let (_folder, registry) = fresh();
    registry.dismiss("/n.ipynb", Resume, "", Time(1)).unwrap();
    registry.dismiss("/n.ipynb", Migrate, "/m.ipynb → /n.ipynb", Time(1)).unwrap();
    let is = |key, kind, moved| registry.is_dismissed(key, kind, moved).unwrap();
    assert!(is("/n.ipynb", Resume, ""));
    assert!(!is("/m.ipynb", Resume, ""));
    assert!(is("/n.ipynb", Migrate, "/m.ipynb → /n.ipynb"));
    assert!(!is("/n.ipynb", Migrate, "/o.ipynb → /n.ipynb"));
    let raise = |what| registry.raise_offer(&offer("1", Migrate, "/n.ipynb", &["a"]), Some(what)).unwrap();
    assert_eq!(raise("/m.ipynb → /n.ipynb"), Raised::Declined);
    assert_eq!(raise("/o.ipynb → /n.ipynb"), Raised::New);
    registry.clear_dismissal("/n.ipynb").unwrap();
    assert!(!is("/n.ipynb", Resume, ""));
    assert!(is("/n.ipynb", Migrate, "/m.ipynb → /n.ipynb"));
    // Long after, what was dismissed is forgotten.
    registry.dismiss("/x.ipynb", Resume, "", Time(100 * 24 * 3600 * 1000)).unwrap();
    assert!(!is("/n.ipynb", Migrate, "/m.ipynb → /n.ipynb"));
}

#[test]
fn a_move_that_an_editor_makes_is_not_asked_about_for_a_moment() {
    use OfferKind::Migrate;
    let (_folder, registry) = fresh();
    let (what, making) = ("/m.ipynb\0/n.ipynb", crate::registry::being_made("/m.ipynb\0/n.ipynb"));
    let long_ago = Time(Time::now().0 - crate::registry::BEING_MADE_MILLISECONDS - 1);
    let is = || registry.is_dismissed("/n.ipynb", Migrate, what).unwrap();
    registry.dismiss("/n.ipynb", Migrate, &making, long_ago).unwrap();
    assert!(!is(), "an editor that was killed before it made it holds back nothing for long");
    registry.dismiss("/n.ipynb", Migrate, &making, Time::now()).unwrap();
    assert!(is());
    assert_eq!(registry.declined_moves("/m.ipynb").unwrap(), Vec::<String>::new(), "nobody declined it");
    registry.forget_declined_moves("/m.ipynb").unwrap();
    assert!(is());
    registry.forget_dismissal("/n.ipynb", Migrate, &making).unwrap();
    // By then the kernel is where the file went, and who saw the move late asks about nothing.
    let raise = || registry.raise_offer(&offer("1", Migrate, "/n.ipynb", &["a"]), Some(what)).unwrap();
    assert_eq!(raise(), Raised::Moot);
    start(&registry, "a", "/m.ipynb");
    assert_eq!(raise(), Raised::New);
}

#[test]
fn the_counter_changes_with_every_commit() {
    let (folder, registry) = fresh();
    let other = open(folder.path());
    let look = || registry.change_counter().unwrap();
    let first = look();
    assert_eq!(look(), first);
    other.put_session(&session("a", 1)).unwrap();
    let second = look();
    assert_ne!(second, first);
    registry.put_session(&session("b", 1)).unwrap();
    assert_ne!(look(), second);
    assert_eq!(look(), look());
}
