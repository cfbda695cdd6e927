//! Finds what a sandbox denied in the words of a plugin.

use std::path::Path;

use crate::{denied::Denied, sandbox::Sandbox};

impl Sandbox {
    /// Finds what this sandbox denied in a line that a plugin printed: words such as `permission denied` with a path or a port that
    /// the sandbox does not allow, or an exhausted limit that the sandbox sets. `None` for every other line.
    ///
    /// The line is the plugin's own, so that it is a hint and no proof.
    #[must_use]
    pub fn denied_in(&self, line: &str) -> Option<Denied> {
        let lower = line.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let limits = &self.limits;
        if limits.memory.is_some() && has(&OUT_OF_MEMORY) {
            return Some(Denied::Memory);
        }
        if limits.open_files.is_some() && has(&["too many open files", "emfile"]) {
            return Some(Denied::OpenFiles);
        }
        if limits.processes.is_some() && has(&OUT_OF_PROCESSES) {
            return Some(Denied::Processes);
        }
        if limits.file_size.is_some() && has(&["file too large", "efbig"]) {
            return Some(Denied::FileSize);
        }
        if !has(&["permission denied", "operation not permitted", "eacces", "eperm", "permissiondenied"]) {
            return None;
        }
        if let Some(path) = paths_in(line).filter(|path| !self.allows(path)).last() {
            return Some(Denied::Path(path.to_owned()));
        }
        let port = ports_in(line).find(|port| !self.network.may_connect(*port));
        Some(port.map_or(Denied::Unnamed, Denied::Port))
    }

    /// Whether the sandbox's own paths cover this path.
    fn allows(&self, path: &Path) -> bool {
        [&self.read, &self.write, &self.execute]
            .into_iter()
            .flatten()
            .any(|allowed| path.starts_with(allowed))
    }
}

/// The absolute paths in a line.
fn paths_in(line: &str) -> impl Iterator<Item = &Path> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '(' | ')' | '=' | ',' | ';');
    let trimmed = |word: &'_ str| -> usize { word.trim_end_matches([':', '.']).len() };
    line.split(ends)
        .map(move |word| &word[..trimmed(word)])
        .filter(|word| word.starts_with('/'))
        .map(Path::new)
}

/// The ports of the addresses in a line: `127.0.0.1:443`, `[::1]:443`, `example.org:443`.
fn ports_in(line: &str) -> impl Iterator<Item = u16> {
    line.split_whitespace().filter_map(|word| {
        let (address, port) = word.trim_matches(['"', '\'', ',', ':', ')', '(']).rsplit_once(':')?;
        let is_address = !address.is_empty() && address.contains(['.', ']']);
        is_address.then(|| port.parse().ok()).flatten()
    })
}

/// What runtimes print when an allocation has failed.
const OUT_OF_MEMORY: [&str; 5] =
    ["memory allocation of", "out of memory", "cannot allocate memory", "memoryerror", "enomem"];

/// What runtimes print when no process or thread can be started.
const OUT_OF_PROCESSES: [&str; 4] = [
    "resource temporarily unavailable",
    "failed to create new os thread",
    "failed to spawn thread",
    "can't start new thread",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Network};

    #[test]
    fn denials_are_found_in_the_words_of_several_runtimes() {
        let sandbox = Sandbox::new().read("/srv").network(Network::none().connect([80]));
        let path = |path: &str| Some(Denied::Path(path.into()));
        for (line, denied) in [
            ("open /etc/shadow: permission denied", path("/etc/shadow")),
            (r#"Error: cannot read "/etc/shadow": Permission denied (os error 13)"#, path("/etc/shadow")),
            ("PermissionError: [Errno 13] Permission denied: '/home/a/.ssh'", path("/home/a/.ssh")),
            // A shell names its script first.
            ("/x/script: 3: cannot open /etc/shadow: Permission denied", path("/etc/shadow")),
            ("open /srv/a: permission denied", Some(Denied::Unnamed)),
            ("dial tcp 127.0.0.1:443: connect: permission denied", Some(Denied::Port(443))),
            ("dial tcp 127.0.0.1:80: connect: permission denied", Some(Denied::Unnamed)),
            ("socket: operation not permitted", Some(Denied::Unnamed)),
            ("open /etc/nothing: no such file or directory", None),
            ("too many open files", None),
        ] {
            assert_eq!(sandbox.denied_in(line), denied, "{line}");
        }
    }

    #[test]
    fn exhausted_limits_are_found_only_where_they_are_set() {
        let limits = Limits::new().memory(1).open_files(1).processes(1).file_size(1);
        let sandbox = Sandbox::new().limits(limits);
        for (line, denied) in [
            ("memory allocation of 1073741824 bytes failed", Denied::Memory),
            ("fatal error: runtime: out of memory", Denied::Memory),
            ("open x: too many open files", Denied::OpenFiles),
            ("fork: Resource temporarily unavailable", Denied::Processes),
            ("write x: file too large", Denied::FileSize),
        ] {
            assert_eq!(sandbox.denied_in(line), Some(denied), "{line}");
            assert_eq!(Sandbox::new().denied_in(line), None, "{line}");
        }
    }
}
