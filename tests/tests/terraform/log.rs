//! The log of Terraform, with records about plugins and records of plugins.

use serde_json::Value as Json;

use super::workdir::Outcome;

/// A log. Its records are JSON if Terraform was asked for JSON.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) text: String,
    records: Vec<Json>,
}

impl Log {
    pub(crate) fn read(text: &str) -> Self {
        let records = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Self { text: text.to_owned(), records }
    }

    /// The calls of Terraform, in order. Schema calls are left out: the log does not distinguish the first call to a process
    /// from a look into the cache.
    pub(crate) fn calls(&self) -> Vec<&str> {
        // Terraform 1.11 writes `GRPCProvide.v6` once.
        let calls = self.messages().filter(|message| message.starts_with("GRPCProvide"));
        let names = calls.filter_map(|call| call.split_once(": ")).map(|(_, name)| name);
        names.filter(|name| !matches!(*name, "GetProviderSchema" | "Close")).collect()
    }

    /// The number of plugin processes.
    pub(crate) fn processes(&self) -> usize {
        self.count("plugin started")
    }

    /// The number of records with exactly this message.
    pub(crate) fn count(&self, message: &str) -> usize {
        self.messages().filter(|logged| *logged == message).count()
    }

    /// The records with exactly this message.
    pub(crate) fn with_message(&self, message: &str) -> Vec<&Json> {
        self.records.iter().filter(|record| record["@message"] == message).collect()
    }

    /// The record of a plugin with this message.
    pub(crate) fn plugin_record(&self, message: &str) -> Outcome<&Json> {
        // Terraform forwards a record unchanged, except for the name of its timestamp.
        let wanted = |record: &&Json| record["@message"] == message && record["timestamp"].is_string();
        self.records.iter().find(wanted).ok_or_else(|| format!("no plugin logged {message:?}").into())
    }

    /// Checks that all plugins exited by themselves, without errors or warnings.
    pub(crate) fn check_good_endings(&self) -> Outcome {
        for record in &self.records {
            let message = record["@message"].as_str().unwrap_or_default();
            let unhappy = UNHAPPY.iter().any(|words| message.contains(words));
            let failed = message == "plugin process exited" && !record["error"].is_null();
            let grave = matches!(record["@level"].as_str(), Some("error" | "warn"));
            // Errors that a scenario makes the provider print or log.
            let on_purpose = message == "unexpected data" || module(record).starts_with("rpcplugin_tests");
            let ours = ["provider", "rpcplugin"].iter().any(|name| module(record).starts_with(name));
            if unhappy || failed || (grave && ours && !on_purpose) {
                return Err(format!("the log has {record}").into());
            }
        }
        let (started, exited) = (self.processes(), self.count("plugin process exited"));
        if started != exited {
            return Err(format!("{started} plugins were started and {exited} ended").into());
        }
        Ok(())
    }

    fn messages(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter_map(|record| record["@message"].as_str())
    }
}

fn module(record: &Json) -> &str {
    record["@module"].as_str().unwrap_or_default()
}

/// Messages of a host about a plugin that does not exit cleanly.
const UNHAPPY: &[&str] = &["failed to exit gracefully", "killed", "signal: ", "stdio service not available"];

const GOOD: &str = r#"{"@level":"debug","@message":"plugin started","@module":"provider"}
{"@level":"trace","@message":"GRPCProvider.v6: GetProviderSchema"}
{"@level":"trace","@message":"GRPCProvider.v6: PlanResourceChange"}
{"@level":"trace","@message":"GRPCProvider: CallFunction=add"}
{"@level":"warn","@message":"hot","@module":"rpcplugin_tests::log","answer":42,"timestamp":"now"}
{"@level":"info","@message":"plugin process exited","@module":"provider"}
"#;

#[test]
fn calls_and_records_are_found() {
    let log = Log::read(GOOD);
    assert_eq!(log.calls(), ["PlanResourceChange", "CallFunction=add"]);
    assert_eq!(log.plugin_record("hot").unwrap()["answer"], 42);
    assert!(log.plugin_record("cold").is_err());
    log.check_good_endings().unwrap();
}

#[test]
fn bad_endings_are_found() {
    for bad in [
        r#"{"@level":"warn","@message":"plugin failed to exit gracefully","@module":"provider"}"#,
        r#"{"@level":"info","@message":"plugin process exited","@module":"provider","error":"signal: killed"}"#,
        r#"{"@level":"error","@message":"error encountered while scanning stdout","@module":"provider"}"#,
        r#"{"@level":"warn","@message":"a connection was lost","@module":"rpcplugin_transport"}"#,
        r#"{"@level":"warn","@message":"a connection was lost","@module":"rpcplugin_transport"}"#,
        r#"{"@level":"debug","@message":"plugin started","@module":"provider"}"#,
    ] {
        assert!(Log::read(&format!("{GOOD}{bad}\n")).check_good_endings().is_err(), "{bad}");
    }
}
