//! The programs of other projects, by ecosystem. Versions are those that the Go module proxy serves and this Go compiles.

mod crowdsec;
mod go_plugin;
mod others;
mod terraform;
mod vault;

use super::entry::Entry;

/// The programs of an ecosystem.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) entries: &'static [Entry],
}

/// All groups, in the order of the page.
pub(super) const GROUPS: &[Group] = &[
    Group { title: "go-plugin's examples", entries: go_plugin::ENTRIES },
    Group { title: "Terraform and OpenTofu", entries: terraform::ENTRIES },
    Group { title: "tflint, Velero and Grafana", entries: others::ENTRIES },
    Group { title: "Vault", entries: vault::ENTRIES },
    Group { title: "CrowdSec and Packer, from Debian", entries: crowdsec::ENTRIES },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_given_once() {
        let mut names: Vec<_> =
            GROUPS.iter().flat_map(|group| group.entries).map(|entry| entry.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
