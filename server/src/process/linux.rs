//! Linux: read from `/proc` directly, a few small files a process, so that looking costs little time and no memory.

use std::collections::HashMap;
use std::fs;
use std::sync::OnceLock;

use super::sample::{Measured, Tree};

/// What is used of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    state: char,
    parent: u32,
    session: u32,
    ticks: u64,
    start: u64,
    resident_pages: u64,
}

pub(super) fn start_of_living(pid: u32) -> Option<u64> {
    stat(pid).map(|stat| stat.start)
}

pub(super) fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id")
}

pub(super) fn host() -> String {
    read("/proc/sys/kernel/hostname")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// One process as it is now.
pub(super) fn measure(pid: u32) -> Option<Measured> {
    let stat = stat(pid)?;
    Some(Measured {
        pid,
        name: stat.name,
        parent: stat.parent,
        start: stat.start,
        cpu_milliseconds: stat.ticks * 1000 / rustix::param::clock_ticks_per_second().max(1),
        resident_bytes: stat.resident_pages * rustix::param::page_size() as u64,
    })
}

/// The living processes of the tree under `root`, `root` first, parents before their children.
pub(super) fn tree(root: u32) -> Tree {
    let mut found = Tree::new();
    let mut scanned = None;
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let Some(measured) = measure(pid) else { continue };
        found.push(measured);
        next.extend(children(pid, &mut scanned));
        if found.len() > 10_000 {
            break; // PIDs that are reused while we look could make a circle.
        }
    }
    found
}

/// The memory of one process with what it shares divided among the sharers. Walks its page tables: about 10 ms
/// a gigabyte. `None` where it may not be read.
pub(super) fn proportional_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// glibc keeps what was freed for its threads and for larger requests to come, up to limits that grow by themselves.
/// Fixed ones are enough here: pieces of outputs, 64 KiB each, are used again, and whole outputs go back.
#[expect(unsafe_code, reason = "glibc's own functions")]
pub(super) fn limit_what_is_kept() {
    #[cfg(target_env = "gnu")]
    for (option, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, 1 << 20), (libc::M_TRIM_THRESHOLD, 1 << 20)]
    {
        // SAFETY: takes two numbers; one that it does not like it refuses.
        unsafe { libc::mallopt(option, value) };
    }
}

/// Returns memory that is free already; looks through a heap of a few hundred kilobytes.
#[expect(unsafe_code, reason = "glibc's own function")]
pub(super) fn return_what_is_free() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes the number of bytes to keep, and touches only what is not in use.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Unmaps this program's code, which is read from the file again where it is needed: what only the past needed is no
/// memory of this process any more.
#[expect(unsafe_code, reason = "no safe wrapper exists")]
pub(super) fn unmap_code() {
    use rustix::mm::{Advice, madvise};
    static CODE: OnceLock<Vec<(usize, usize)>> = OnceLock::new();
    for (start, end) in CODE.get_or_init(|| code(&read("/proc/self/maps"))) {
        // SAFETY: these are private mappings of a file that were never writable: the next access finds there what was
        // there.
        let _ = unsafe { madvise(*start as *mut _, end - start, Advice::LinuxDontNeed) };
    }
}

/// The executable mappings of the program itself: in the list of them all, those of the first file.
fn code(maps: &str) -> Vec<(usize, usize)> {
    let fields = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mapped: Vec<_> = maps.lines().map(fields).filter(|f| f.len() >= 6 && f[5].starts_with('/')).collect();
    let ours = mapped.iter().filter(|f| f[1] == "r-xp" && f[4] == mapped[0][4]);
    let range = |f: &Vec<String>| {
        let (start, end) = f[0].split_once('-')?;
        Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
    };
    ours.filter_map(range).collect()
}

/// Milliseconds since the boot, without those in which the machine slept.
pub(super) fn awake_milliseconds() -> i64 {
    milliseconds(rustix::time::ClockId::Monotonic)
}

/// The same with them.
pub(super) fn elapsed_milliseconds() -> i64 {
    milliseconds(rustix::time::ClockId::Boottime)
}

fn milliseconds(clock: rustix::time::ClockId) -> i64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec as i64 * 1000 + time.tv_nsec as i64 / 1_000_000
}

pub(super) fn is_frozen(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'))
}

/// When a process started, in milliseconds since 1970, from field 22 of its `stat`.
pub(super) fn started_at(start: u64) -> i64 {
    let second = rustix::param::clock_ticks_per_second().max(1);
    let ago = elapsed_milliseconds() - (start * 1000 / second) as i64;
    crate::protocol::Time::now().0 - ago
}

/// A process's name, and its command line.
pub(super) fn name_and_command(pid: u32) -> Option<(String, Vec<String>)> {
    let name = stat(pid)?.name;
    let command = told_by(pid, "cmdline")?;
    let words = command.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    Some((name, words.filter(|word| !word.is_empty()).collect()))
}

/// What a process says of itself in a file of `/proc`: it may say as much as it likes, and no program is given more.
fn told_by(pid: u32, file: &str) -> Option<Vec<u8>> {
    crate::foreign::read(format!("/proc/{pid}/{file}").as_ref(), 8 << 20).ok()
}

/// The commands of this user's processes.
pub(super) fn own_commands() -> Vec<(u32, Vec<String>)> {
    own_pids().filter_map(|pid| Some((pid, name_and_command(pid)?.1))).collect()
}

/// This user's processes in the session that a process led.
pub(super) fn of_session(leader: u32) -> Vec<u32> {
    own_pids().filter(|pid| stat(*pid).is_some_and(|stat| stat.session == leader)).collect()
}

/// What another user's process says of itself is nothing to go by.
fn own_pids() -> impl Iterator<Item = u32> {
    use std::os::unix::fs::MetadataExt;
    let own = rustix::process::geteuid().as_raw();
    pids().filter(move |pid| fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == own))
}

pub(super) fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|stat| stat.parent)
}

pub(super) fn working_folder(pid: u32) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// A variable of a process's environment, as it was started.
pub(super) fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = told_by(pid, "environ")?;
    let mut variables = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    variables.find_map(|variable| Some(variable.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// Whether a process is Python's own servant for shared resources, and not something that the user runs.
pub(super) fn is_servant(pid: u32) -> bool {
    let command = told_by(pid, "cmdline").unwrap_or_default();
    let command = String::from_utf8_lossy(&command);
    ["resource_tracker", "forkserver"].iter().any(|name| command.contains(name))
}

/// The children of each of its threads. Where the kernel was built without `PROC_CHILDREN`, all processes are
/// looked through, once a tree.
fn children(pid: u32, scanned: &mut Option<HashMap<u32, Vec<u32>>>) -> Vec<u32> {
    let mut found = vec![];
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return found };
    for thread in threads.flatten() {
        let Ok(text) = read_at_once(&thread.path().join("children")) else {
            let exists = thread.path().exists();
            if exists && !fs::exists("/proc/self/task/self/children").unwrap_or(true) {
                return scanned.get_or_insert_with(scan).get(&pid).cloned().unwrap_or_default();
            }
            continue;
        };
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found
}

/// This user's processes whose command ends in these arguments. A script's begins with its interpreter.
pub(super) fn started_with(arguments: &[String]) -> Vec<u32> {
    let wanted: String = arguments.iter().flat_map(|argument| ["\0", argument]).chain(["\0"]).collect();
    let fits = |pid: &u32| told_by(*pid, "cmdline").is_some_and(|told| told.ends_with(wanted.as_bytes()));
    own_pids().filter(fits).collect()
}

fn scan() -> HashMap<u32, Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in pids() {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    children
}

/// A small file of `/proc`, in one read where it fits: many are read often.
fn read_at_once(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut file = fs::File::open(path)?;
    let mut bytes = vec![0; 1_024];
    let mut length = file.read(&mut bytes)?;
    if length == bytes.len() {
        file.read_to_end(&mut bytes)?;
        length = bytes.len();
    }
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
}

/// `None` for a zombie or a process that is gone.
fn stat(pid: u32) -> Option<Stat> {
    let text = read_at_once(std::path::Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    parse(&text).filter(|stat| !matches!(stat.state, 'Z' | 'X' | 'x'))
}

/// The name can hold anything, brackets and line ends too, so the last bracket ends it.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Numbered from 1 in proc(5), where the state is field 3.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: number(4)? as u32,
        session: number(6)? as u32,
        ticks: number(14)? + number(15)?,
        start: number(22)?,
        resident_pages: number(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_name() {
        let check = |name: &str| {
            let text = format!(
                "7 ({name}) S 1 7 7 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 12345 999 42 18446744073709551615 1"
            );
            let expect = Stat {
                name: name.into(),
                state: 'S',
                parent: 1,
                session: 7,
                ticks: 110,
                start: 12345,
                resident_pages: 42,
            };
            assert_eq!(parse(&text), Some(expect));
        };
        check("bash");
        check("a) R 9 (b c");
        check("");
        assert_eq!(parse("7 (x) S 1"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn code_is_let_go_of_and_found_again() {
        let maps = read("/proc/self/maps");
        let ranges = code(&maps);
        let here = code_is_let_go_of_and_found_again as *const () as usize;
        assert!(ranges.iter().any(|(start, end)| (*start..*end).contains(&here)), "{ranges:x?}\n{maps}");
        limit_what_is_kept();
        let kept: Vec<String> = (0..1000).map(|i| i.to_string().repeat(100)).collect();
        unmap_code();
        return_what_is_free();
        assert!(kept.iter().enumerate().all(|(i, text)| *text == i.to_string().repeat(100)));
        assert_eq!(code("junk\n1-2 r-xp 0 0:0 7 [vdso]\n"), []);
    }

    #[test]
    fn sees_this_process() {
        let pid = std::process::id();
        let found = tree(pid);
        assert_eq!(found[0].pid, pid);
        assert!(found[0].resident_bytes > 100_000);
        assert!(proportional_bytes(pid).is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn what_another_user_started_is_not_ours() {
        use std::os::unix::process::CommandExt;
        // Root alone can start one for somebody else; whoever is not root is not the owner of the first process.
        let is_root = rustix::process::geteuid().is_root();
        let mut command = std::process::Command::new("sleep");
        command.args(["60.25"]);
        if is_root {
            command.uid(65_534);
        }
        let mut child = command.spawn().unwrap();
        let arguments = ["60.25".to_owned()];
        let found = || started_with(&arguments).contains(&child.id());
        let begun = std::time::Instant::now();
        while told_by(child.id(), "cmdline").is_none_or(|told| !told.ends_with(b"60.25\0")) {
            assert!(begun.elapsed().as_secs() < 10, "it did not begin");
            std::thread::yield_now();
        }
        assert_eq!(found(), !is_root);
        assert!(is_root || !own_pids().any(|pid| pid == 1));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
