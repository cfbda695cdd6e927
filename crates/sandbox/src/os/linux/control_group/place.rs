//! The control group in which the groups of plugins are made.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The group to make groups in, with these controllers for its children. The error says why there is no such group.
pub(super) fn find(named: Option<&Path>, controllers: &[&str]) -> Result<PathBuf, String> {
    if let Some(named) = named {
        return enable(named, controllers).map(|()| named.to_owned());
    }
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let own = Own::find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
        .ok_or("no control groups of version 2 are mounted")?;
    let dir = own.delegated(is_delegated).ok_or_else(|| {
        format!(
            "the control group of the host, {}, is not delegated: start the host with Delegate=yes and DelegateSubgroup= of \
             systemd, or name a group with `Sandbox::control_group`",
            own.dir.display()
        )
    })?;
    enable(dir, controllers).map(|()| dir.to_owned())
}

/// Removes the groups that hosts which are gone have left, if nothing runs in them.
pub(super) fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let host = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
        if host.is_some_and(|(pid, _)| !Path::new("/proc").join(pid).exists()) {
            // The kernel refuses to remove a group with processes, such as a plugin that was handed over.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The start of the names of groups. The pid of the host follows.
pub(super) const PREFIX: &str = "rpcplugin-";

/// The group of this process.
#[derive(Debug, PartialEq, Eq)]
struct Own {
    dir: PathBuf,
    /// Whether the process sees no group above.
    is_top: bool,
}

impl Own {
    /// Finds the group in the mounts and the groups of this process.
    fn find(mounts: &str, groups: &str) -> Option<Self> {
        let path = Path::new(groups.lines().find_map(|line| line.strip_prefix("0::"))?);
        mounts.lines().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            if kind.split(' ').next() != Some("cgroup2") {
                return None;
            }
            let mut fields = place.split(' ').skip(3);
            let (root, mounted) = (fields.next()?, fields.next()?);
            let below = path.strip_prefix(root).ok()?;
            Some(Self { dir: Path::new(mounted).join(below), is_top: below.as_os_str().is_empty() })
        })
    }

    /// The own group or the one above, whichever was delegated. The top of what the process sees is its own.
    fn delegated(&self, is_delegated: impl Fn(&Path) -> bool) -> Option<&Path> {
        if self.is_top || is_delegated(&self.dir) {
            return Some(&self.dir);
        }
        self.dir.parent().filter(|above| is_delegated(above))
    }
}

/// Whether systemd has marked the group as delegated. A group that can merely be written belongs to the one who manages it.
fn is_delegated(dir: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].into_iter().any(|name| {
        let mut value = [0; 1];
        rustix::fs::getxattr(dir, name, &mut value) == Ok(1) && value == *b"1"
    })
}

/// Gives these controllers to the children of a group.
fn enable(dir: &Path, controllers: &[&str]) -> Result<(), String> {
    let words = |file: &str| -> Result<Vec<String>, String> {
        let path = dir.join(file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    let (there, enabled) = (words("cgroup.controllers")?, words("cgroup.subtree_control")?);
    let has = |all: &[String], name: &str| all.iter().any(|known| known == name);
    if let Some(missing) = controllers.iter().find(|name| !has(&there, name)) {
        return Err(format!("the control group {} has no controller {missing}", dir.display()));
    }
    for name in controllers.iter().filter(|name| !has(&enabled, name)) {
        fs::write(dir.join("cgroup.subtree_control"), format!("+{name}")).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => format!(
                "the control group {} has processes of its own, so that its children have no limits: start the host in a group \
                 beneath it",
                dir.display()
            ),
            _ => format!("the control group {} cannot enable the controller {name}: {error}", dir.display()),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 24 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids
32 30 0:28 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw
";

    #[test]
    fn the_group_of_this_process_is_found_among_its_mounts() {
        let find = |mounts: &str, groups: &str| Own::find(mounts, groups).map(|own| (own.dir, own.is_top));
        let own = find(MOUNTS, "9:pids:/a\n0::/system.slice/kv.service/host\n").expect("found");
        assert_eq!(own, ("/sys/fs/cgroup/unified/system.slice/kv.service/host".into(), false));
        assert_eq!(find(MOUNTS, "0::/\n"), Some(("/sys/fs/cgroup/unified/".into(), true)));
        let bound = MOUNTS.replace("0:28 / /sys", "0:28 /docker/0123 /sys");
        assert_eq!(find(&bound, "0::/docker/0123"), Some(("/sys/fs/cgroup/unified/".into(), true)));
        assert_eq!(find(&bound, "0::/elsewhere"), None);
        assert_eq!(find(MOUNTS, "9:pids:/a\n"), None, "version 1 only");
        assert_eq!(find("", "0::/a"), None, "not mounted");
    }

    #[test]
    fn only_a_group_that_was_delegated_is_used() {
        let own = Own { dir: "/cg/kv.service/host".into(), is_top: false };
        let delegated = |only: &'static str| move |dir: &Path| dir == Path::new(only);
        assert_eq!(own.delegated(delegated("/cg/kv.service/host")), Some(Path::new("/cg/kv.service/host")));
        assert_eq!(own.delegated(delegated("/cg/kv.service")), Some(Path::new("/cg/kv.service")));
        assert_eq!(own.delegated(delegated("/cg")), None);
        let top = Own { dir: "/cg".into(), is_top: true };
        assert_eq!(top.delegated(|_| false), Some(Path::new("/cg")));
    }

    #[test]
    fn controllers_are_enabled_for_the_children_or_named_as_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(enable(dir.path(), &["pids"]).expect_err("no group").contains("cgroup.controllers"));
        fs::write(dir.path().join("cgroup.controllers"), "cpu pids\n").expect("written");
        fs::write(dir.path().join("cgroup.subtree_control"), "cpu\n").expect("written");
        enable(dir.path(), &["cpu", "pids"]).expect("enabled");
        let written = || fs::read_to_string(dir.path().join("cgroup.subtree_control")).expect("a file");
        assert_eq!(written(), "+pids");
        let error = enable(dir.path(), &["memory", "pids"]).expect_err("no such controller");
        assert!(error.ends_with("has no controller memory"), "{error}");
        assert_eq!(find(Some(dir.path()), &["cpu"]).expect("found"), dir.path());
    }

    #[test]
    fn groups_of_hosts_that_are_gone_are_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let gone = format!("{PREFIX}4194305-0");
        let own = format!("{PREFIX}{}-0", std::process::id());
        for name in [&gone, &own, "other"] {
            fs::create_dir(dir.path().join(name)).expect("made");
        }
        sweep(dir.path());
        assert!(!dir.path().join(gone).exists(), "no process has a pid above the limit of the kernel");
        assert!(dir.path().join(own).exists() && dir.path().join("other").exists());
    }
}
