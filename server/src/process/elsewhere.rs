//! Other platforms: what `sysinfo` knows.

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

use super::sample::{Measured, Tree};

pub(super) fn start_of_living(pid: u32) -> Option<u64> {
    let mut system = System::new().ok()?;
    let pid = Pid::from_u32(pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind());
    let process = system.process(pid)?;
    (!is_dead(process.status())).then(|| process.start_time())
}

pub(super) fn boot_id() -> String {
    System::boot_time().map(|seconds| seconds.to_string()).unwrap_or_default()
}

pub(super) fn host() -> String {
    System::host_name().unwrap_or_default()
}

/// The living processes of the tree under `root`, `root` first, parents before their children.
pub(super) fn tree(root: u32) -> Tree {
    let Ok(mut system) = System::new() else { return Tree::new() };
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind().with_memory().with_cpu());
    let mut found = Tree::new();
    let mut next = vec![Pid::from_u32(root)];
    while let Some(pid) = next.pop() {
        let Some(process) = system.process(pid).filter(|p| !is_dead(p.status())) else { continue };
        found.push(Measured {
            pid: pid.as_u32(),
            name: process.name().to_string_lossy().into_owned(),
            parent: process.parent().map(Pid::as_u32).unwrap_or_default(),
            start: process.start_time(),
            cpu_milliseconds: process.accumulated_cpu_time(),
            resident_bytes: process.memory(),
        });
        let children = system.processes().iter().filter(|(_, child)| child.parent() == Some(pid));
        next.extend(
            children.map(|(child, _)| *child).filter(|child| !found.iter().any(|f| f.pid == child.as_u32())),
        );
    }
    found
}

/// One process as it is now.
pub(super) fn measure(pid: u32) -> Option<Measured> {
    tree(pid).into_iter().next()
}

/// This user's processes whose command ends in these arguments. A script's begins with its interpreter.
pub(super) fn started_with(arguments: &[String]) -> Vec<u32> {
    let Ok(mut system) = System::new() else { return Vec::new() };
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind_of_own());
    let fits = |process: &&sysinfo::Process| {
        let (command, wanted) = (process.cmd(), arguments.len());
        command.len() > wanted
            && command[command.len() - wanted..].iter().zip(arguments).all(|(a, b)| a == b.as_str())
    };
    system.processes().values().filter(is_own).filter(fits).map(|process| process.pid().as_u32()).collect()
}

/// This user's processes in the session that a process led.
pub(super) fn of_session(leader: u32) -> Vec<u32> {
    let Ok(mut system) = System::new() else { return Vec::new() };
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind_of_own());
    let is_in_it = |process: &&sysinfo::Process| process.session_id() == Some(Pid::from_u32(leader));
    system
        .processes()
        .values()
        .filter(is_own)
        .filter(is_in_it)
        .map(|process| process.pid().as_u32())
        .collect()
}

/// Milliseconds since the boot; whether those of a sleep count depends on the system.
pub(super) fn awake_milliseconds() -> i64 {
    elapsed_milliseconds()
}

/// The same.
pub(super) fn elapsed_milliseconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64 - System::boot_time().unwrap_or(0) as i64 * 1000
}

pub(super) fn is_frozen(pid: u32) -> bool {
    let Ok(mut system) = System::new() else { return false };
    let pid = Pid::from_u32(pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind());
    system.process(pid).is_some_and(|process| process.status() == ProcessStatus::Stop)
}

/// When a process started, in milliseconds since 1970.
pub(super) fn started_at(start: u64) -> i64 {
    start as i64 * 1000
}

/// A process's name, and its command line.
pub(super) fn name_and_command(pid: u32) -> Option<(String, Vec<String>)> {
    let mut system = System::new().ok()?;
    let pid = Pid::from_u32(pid);
    let kind = kind().with_cmd(sysinfo::UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
    let process = system.process(pid)?;
    let command = process.cmd().iter().map(|word| word.to_string_lossy().into_owned());
    Some((process.name().to_string_lossy().into_owned(), command.collect()))
}

/// The commands of this user's processes.
pub(super) fn own_commands() -> Vec<(u32, Vec<String>)> {
    let Ok(mut system) = System::new() else { return Vec::new() };
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind_of_own());
    let words = |process: &sysinfo::Process| {
        process.cmd().iter().map(|word| word.to_string_lossy().into_owned()).collect()
    };
    system
        .processes()
        .values()
        .filter(is_own)
        .map(|process| (process.pid().as_u32(), words(process)))
        .collect()
}

pub(super) fn parent(pid: u32) -> Option<u32> {
    let mut system = System::new().ok()?;
    let pid = Pid::from_u32(pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind());
    system.process(pid)?.parent().map(Pid::as_u32)
}

/// Not known here.
pub(super) fn working_folder(_pid: u32) -> Option<std::path::PathBuf> {
    None
}

/// A variable of a process's environment, as it was started.
pub(super) fn variable(pid: u32, name: &str) -> Option<String> {
    let mut system = System::new().ok()?;
    let pid = Pid::from_u32(pid);
    let kind = kind().with_environ(sysinfo::UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
    let variables = system.process(pid)?.environ().iter().map(|variable| variable.to_string_lossy());
    variables
        .into_iter()
        .find_map(|variable| Some(variable.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// Not known here.
pub(super) fn proportional_bytes(_pid: u32) -> Option<u64> {
    None
}

// The following is not done here.
pub(super) fn limit_what_is_kept() {}
pub(super) fn return_what_is_free() {}
pub(super) fn unmap_code() {}

pub(super) fn is_servant(_pid: u32) -> bool {
    false
}

fn kind() -> ProcessRefreshKind {
    ProcessRefreshKind::nothing().without_tasks()
}

/// What tells whose a process is, and how it was started.
fn kind_of_own() -> ProcessRefreshKind {
    kind().with_cmd(sysinfo::UpdateKind::Always).with_user(sysinfo::UpdateKind::Always)
}

/// What another user's process says of itself is nothing to go by.
fn is_own(process: &&sysinfo::Process) -> bool {
    process.user_id().is_some_and(|user| **user == rustix::process::getuid().as_raw())
}

fn is_dead(status: ProcessStatus) -> bool {
    matches!(status, ProcessStatus::Zombie | ProcessStatus::Dead)
}
