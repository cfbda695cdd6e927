//! What the taps of a scenario have shown: their output is read, and compared with what must be in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::must;
use crate::workspace::Outcome;

/// The output of all taps of a scenario.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// How many plugins were started.
    started: usize,
    /// How many of them exited with status 0.
    ended: usize,
    /// How many of them ended by a signal.
    killed: usize,
    /// The security of the handshakes.
    security: Vec<String>,
    /// How often each method was called with success.
    succeeded: BTreeMap<String, usize>,
    /// Methods that ended with another status, and the status.
    failed: Vec<String>,
    /// Names of the connections.
    connections: Vec<String>,
    /// What a tap could not show.
    notes: Vec<String>,
}

impl Trace {
    /// Reads the output.
    pub(super) fn read(path: &Path) -> Outcome<Self> {
        let mut trace = Self::default();
        for line in fs::read_to_string(path)?.lines() {
            trace.add(
                &serde_json::from_str(line).map_err(|error| format!("the tap wrote {line:?}: {error}"))?,
            );
        }
        Ok(trace)
    }

    fn add(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        match event["kind"].as_str().unwrap_or_default() {
            "started" => self.started += 1,
            "exited" if event["signal"].is_number() => self.killed += 1,
            "exited" => self.ended += usize::from(event["status"] == 0),
            "handshake" => add_once(&mut self.security, text("security")),
            "opened" => add_once(&mut self.connections, text("connection")),
            "status" if event["code"] == 0 => *self.succeeded.entry(text("method")).or_default() += 1,
            "status" => add_once(&mut self.failed, format!("{} {}", text("method"), text("name"))),
            "note" => add_once(&mut self.notes, text("message")),
            _ => {}
        }
    }

    /// Plugins were started through a tap, and these methods were called with success.
    pub(super) fn must_show(&self, methods: &[&str]) -> Outcome {
        must(self.started > 0, "the tap started no plugin")?;
        must(self.notes.is_empty(), format!("the tap could not show everything: {}", self.notes.join("; ")))?;
        for method in methods {
            let is_seen = self.succeeded.keys().any(|seen| seen.ends_with(method));
            must(is_seen, format!("the tap shows no successful call of {method}"))?;
        }
        Ok(())
    }

    /// Every plugin exited with status 0.
    pub(super) fn must_end_cleanly(&self) -> Outcome {
        let (started, ended) = (self.started, self.ended);
        must(started == ended, format!("{started} plugins were started, and {ended} exited with status 0"))
    }

    /// Every plugin was ended by the tap, with SIGTERM, because its host was gone.
    pub(super) fn must_end_with_the_host(&self) -> Outcome {
        let (started, killed) = (self.started, self.killed);
        must(started == killed, format!("{started} plugins were started, and {killed} ended by a signal"))
    }

    /// A brokered connection was shown.
    pub(super) fn must_show_brokered(&self) -> Outcome {
        let is_seen = self.connections.iter().any(|name| name != "main");
        must(is_seen, "the tap shows no brokered connection")
    }

    /// What was seen, in a line for the page.
    pub(super) fn summary(&self) -> String {
        let calls: usize = self.succeeded.values().sum();
        let security = self.security.join(", ").replace("auto_mtls", "AutoMTLS");
        let runs = if self.started == 1 { "1 run".to_owned() } else { format!("{} runs", self.started) };
        let mut text = format!("{runs} of the plugin through the tap, {security}, {calls} calls shown");
        if self.connections.iter().any(|name| name != "main") {
            text += ", brokered connections among them";
        }
        if !self.failed.is_empty() {
            text += &format!("; without success: {}", self.failed.join(", "));
        }
        text
    }
}

fn add_once(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trace(events: &[Value]) -> Trace {
        let mut trace = Trace::default();
        events.iter().for_each(|event| trace.add(event));
        trace
    }

    #[test]
    fn a_run_that_was_shown_is_accepted() {
        let whole = trace(&[
            json!({"kind": "started"}),
            json!({"kind": "handshake", "security": "auto_mtls"}),
            json!({"kind": "opened", "connection": "main"}),
            json!({"kind": "status", "code": 0, "method": "kv.Kv/Put", "name": "OK"}),
            json!({"kind": "exited", "status": 0}),
        ]);
        whole.must_show(&["Kv/Put"]).unwrap();
        whole.must_show(&["Kv/Get"]).unwrap_err();
        whole.must_end_cleanly().unwrap();
        whole.must_show_brokered().unwrap_err();
        assert_eq!(whole.summary(), "1 run of the plugin through the tap, AutoMTLS, 1 calls shown");
    }

    #[test]
    fn a_plugin_that_did_not_exit_cleanly_is_refused() {
        let killed = [json!({"kind": "started"}), json!({"kind": "exited", "signal": 9})];
        trace(&killed).must_end_cleanly().unwrap_err();
        trace(&killed).must_end_with_the_host().unwrap();
        trace(&[]).must_show(&[]).unwrap_err();
    }
}
