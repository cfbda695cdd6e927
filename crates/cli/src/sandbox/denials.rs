//! What a confined plugin was denied, as options that allow it.

use std::collections::BTreeSet;

use rpcplugin::sandbox::{Denied, Sandbox};
use serde::Serialize;

use super::explain::option_for;

/// What a plugin was denied.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Denials {
    /// The options that would allow it.
    pub(crate) options: BTreeSet<String>,
    /// What no option allows, or what the words of the plugin do not name.
    pub(crate) others: BTreeSet<String>,
}

impl Denials {
    /// Adds what a line of the plugin reports.
    pub(crate) fn hear(&mut self, line: &str, sandbox: &Sandbox) {
        let Some(denied) = sandbox.denied_in(line) else { return };
        match (option_for(&denied, line), &denied) {
            (Some(option), _) => _ = self.options.insert(option),
            (None, Denied::Unnamed) => _ = self.others.insert(format!("the plugin reports: {}", line.trim())),
            (None, denied) => _ = self.others.insert(denied.to_string()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.options.is_empty() && self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_plugin_become_options() {
        let mut denials = Denials::default();
        for line in [
            "open /etc/shadow: permission denied",
            "dial tcp 10.0.0.1:443: connect: permission denied",
            "chmod /tmp/x.sock: operation not permitted",
            "socket: operation not permitted",
            "all is well",
        ] {
            denials.hear(line, &Sandbox::new());
        }
        assert_eq!(
            Vec::from_iter(&denials.options),
            ["--allow-calls file_metadata", "--allow-net 443", "--allow-read /etc/shadow"]
        );
        assert_eq!(Vec::from_iter(&denials.others), ["the plugin reports: socket: operation not permitted"]);
        assert!(!denials.is_empty() && Denials::default().is_empty());
    }
}
