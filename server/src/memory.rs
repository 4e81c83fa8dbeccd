//! Long-lived processes give memory back: a sidecar and a keeper hold a large output for a moment, and stay for weeks.
//!
//! glibc keeps what was freed unless its limits are set before the program starts, so the program starts itself once
//! more, in the same process. What the user had set stays; other C libraries are left alone.

/// Restarts this program with tight limits, once. Where that is not possible it goes on as it is.
pub fn return_what_is_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use kernel_keeper::process::{MALLOC_MARK, MALLOC_VARIABLES};
        use std::os::unix::process::CommandExt;
        if std::env::var_os(MALLOC_MARK).is_some()
            || MALLOC_VARIABLES.iter().any(|(name, _)| std::env::var_os(name).is_some())
        {
            return;
        }
        let Ok(program) = std::env::current_exe() else { return };
        // Returns only when it failed.
        let _ = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(MALLOC_MARK, "1")
            .envs(MALLOC_VARIABLES)
            .exec();
    }
}
