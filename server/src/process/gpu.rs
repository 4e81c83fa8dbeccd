//! What processes use of NVIDIA's graphics memory, as the driver's own `nvidia-smi` tells it.
//!
//! Asked only of processes that have the driver open: the program takes a moment. Where there is no such driver nothing
//! is known. Leaves out other makers.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(5);

/// Whether any of the processes has the driver open.
pub fn uses_gpu(pids: &[u32]) -> bool {
    Path::new("/dev/nvidiactl").exists() && pids.iter().any(|pid| has_driver_open(*pid))
}

fn has_driver_open(pid: u32) -> bool {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|file| std::fs::read_link(file.path()).ok())
        .any(|target| target.to_string_lossy().starts_with("/dev/nvidia"))
}

/// Bytes that the processes use together; `None` where nobody can tell.
pub async fn gpu_bytes(pids: Vec<u32>) -> Option<u64> {
    let mut command = Command::new("nvidia-smi");
    command.args(["--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]);
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let done = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    done.status.success().then(|| used(&String::from_utf8_lossy(&done.stdout), &pids))
}

/// Of lines `PID, MiB`; a number that is not known, as in some containers, counts as none.
fn used(table: &str, pids: &[u32]) -> u64 {
    let line = |line: &str| {
        let (pid, mebibytes) = line.split_once(',')?;
        let pid: u32 = pid.trim().parse().ok()?;
        mebibytes.trim().parse::<u64>().ok().filter(|_| pids.contains(&pid))
    };
    table.lines().filter_map(line).sum::<u64>() << 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_prints() {
        assert_eq!(used("7, 512\n8, 100\n9, [N/A]\n\n7, 1\n", &[7, 9]), 513 << 20);
        assert_eq!(used("", &[7]), 0);
        assert!(!uses_gpu(&[u32::MAX]));
    }
}
