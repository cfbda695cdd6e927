//! Control groups: limits of a plugin together with all processes that it starts.

mod place;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{limits::Limits, sandbox::Sandbox};

/// A control group of one plugin. Dropping it kills all processes in it, and removes it.
#[derive(Debug)]
pub(crate) struct ControlGroup {
    dir: PathBuf,
    /// Whether the group outlives this value, with its processes.
    stays: bool,
}

/// One setting of a group: the controller that has it, its file, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    controller: &'static str,
    file: &'static str,
    value: String,
    /// Whether kernels and machines lack the file for good reasons.
    is_optional: bool,
}

impl ControlGroup {
    /// Makes the group that the limits of the sandbox need. `None` if they need none. The error says why there can be no group.
    pub(super) fn of(sandbox: &Sandbox) -> Result<Option<Self>, String> {
        let settings = settings(&sandbox.limits);
        if settings.is_empty() {
            return Ok(None);
        }
        let mut controllers: Vec<_> = settings.iter().map(|setting| setting.controller).collect();
        controllers.dedup();
        let parent = place::find(sandbox.control_group.as_deref(), &controllers)?;
        Self::create(&parent, &settings).map(Some)
    }

    /// Makes a group in a group whose children have the controllers.
    fn create(parent: &Path, settings: &[Setting]) -> Result<Self, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        place::sweep(parent);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = parent.join(format!("{}{}-{number}", place::PREFIX, std::process::id()));
        fs::create_dir(&dir)
            .map_err(|error| format!("no control group can be made in {}: {error}", parent.display()))?;
        let group = Self { dir, stays: false };
        for setting in settings {
            let file = group.dir.join(setting.file);
            match fs::write(&file, &setting.value) {
                Err(_) if setting.is_optional => {}
                Err(error) => return Err(format!("{} cannot be written: {error}", file.display())),
                Ok(()) => {}
            }
        }
        Ok(group)
    }

    /// Moves a process into the group. Processes that it has started by now stay where they are.
    pub(super) fn add(&self, pid: u32) -> io::Result<()> {
        fs::write(self.dir.join("cgroup.procs"), pid.to_string())
    }

    /// Whether the kernel has killed a process of the group, because the group used more memory than its limit.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        events.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
    }

    /// Lets the group and its processes outlive this value.
    pub(crate) fn leave(mut self) {
        self.stays = true;
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        let deadline = Instant::now() + LAST_WAIT;
        let mut is_killed = false;
        while let Err(error) = fs::remove_dir(&self.dir) {
            if error.kind() == io::ErrorKind::NotFound || Instant::now() >= deadline {
                return;
            }
            // A group with processes cannot be removed.
            if !is_killed && fs::write(self.dir.join("cgroup.kill"), "1").is_err() {
                return;
            }
            is_killed = true;
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The settings of a group with these limits.
fn settings(limits: &Limits) -> Vec<Setting> {
    let setting = |controller, file, value: &str| Setting {
        controller,
        file,
        value: value.to_owned(),
        is_optional: false,
    };
    let mut all = Vec::new();
    if let Some(bytes) = limits.total_memory {
        all.push(setting("memory", "memory.max", &bytes.to_string()));
        // Without swap the kernel has no such file, and more memory would be swap.
        all.push(Setting { is_optional: true, ..setting("memory", "memory.swap.max", "0") });
        // A plugin that lacks one of its processes is worse than one that has ended.
        all.push(Setting { is_optional: true, ..setting("memory", "memory.oom.group", "1") });
    }
    if let Some(processes) = limits.total_processes {
        all.push(setting("pids", "pids.max", &processes.to_string()));
    }
    all
}

/// The longest wait for the exit of killed processes.
const LAST_WAIT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
