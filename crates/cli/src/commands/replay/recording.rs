//! The recording of a tap.

use std::{collections::HashMap, fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// The calls of the host in one run of a plugin.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// The version of the application's protocol.
    pub(super) version: Option<u32>,
    /// In the order in which they began.
    pub(super) calls: Vec<RecordedCall>,
}

/// A call with its answer.
#[derive(Debug, Default)]
pub(super) struct RecordedCall {
    pub(super) method: String,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) requests: Vec<Vec<u8>>,
    pub(super) responses: Vec<Vec<u8>>,
    /// `None` if the call was cancelled, or did not end.
    pub(super) status: Option<(i32, String)>,
    /// Whether a message is missing, or was compressed.
    pub(super) is_incomplete: bool,
}

impl Recording {
    /// Reads one run, counted from 1, or the last one. Returns the number of runs if the file does not have this one.
    pub(super) fn read(path: &Path, run: Option<usize>) -> io::Result<Result<Self, usize>> {
        Ok(Self::parse(&fs::read_to_string(path)?, run)?)
    }

    /// Reads one run from the text of a recording, as [`read`](Self::read) does.
    pub(super) fn parse(text: &str, run: Option<usize>) -> serde_json::Result<Result<Self, usize>> {
        let mut runs: Vec<Run> = Vec::new();
        for line in text.lines() {
            let event: Value = serde_json::from_str(line)?;
            if event["kind"] == "started" {
                runs.push(Run::default());
            } else if let Some(run) = runs.last_mut() {
                run.take(&event);
            }
        }
        let count = runs.len();
        let nth = run.unwrap_or(count).checked_sub(1);
        let found = nth.filter(|nth| *nth < count).map(|nth| runs.swap_remove(nth).recording);
        Ok(found.ok_or(count))
    }
}

/// A run while it is read.
#[derive(Debug, Default)]
struct Run {
    recording: Recording,
    /// The positions of the calls, by connection and number.
    open: HashMap<(String, u64), usize>,
}

impl Run {
    fn take(&mut self, event: &Value) {
        let kind = event["kind"].as_str().unwrap_or_default();
        if kind == "handshake" {
            self.recording.version = event["version"].as_u64().and_then(|version| version.try_into().ok());
        }
        let (Some(connection), Some(number)) = (event["connection"].as_str(), event["call"].as_u64()) else {
            return;
        };
        // The calls of brokered connections are consequences of those on the main connection.
        if !(connection == "main" || connection.starts_with("main ")) {
            return;
        }
        let key = (connection.to_owned(), number);
        if kind == "call" {
            self.open.insert(key, self.recording.calls.len());
            let method = event["method"].as_str().unwrap_or_default().to_owned();
            let metadata = metadata(&event["metadata"]);
            self.recording.calls.push(RecordedCall { method, metadata, ..RecordedCall::default() });
            return;
        }
        let call = self.open.get(&key).and_then(|nth| self.recording.calls.get_mut(*nth));
        let Some(call) = call else { return };
        match kind {
            "message" => call.message(event),
            "status" => {
                let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                let code = event["code"].as_i64().and_then(|code| code.try_into().ok());
                call.status = code.map(|code| (code, text("message")));
            }
            _ => {}
        }
    }
}

impl RecordedCall {
    fn message(&mut self, event: &Value) {
        let bytes = event["base64"].as_str().and_then(|text| STANDARD.decode(text).ok());
        let messages = if event["from"] == "host" { &mut self.requests } else { &mut self.responses };
        match bytes {
            Some(bytes) if event["compressed"] != true => messages.push(bytes),
            _ => self.is_incomplete = true,
        }
    }

    /// Whether the call is one of the protocol, which each host makes by itself.
    pub(super) fn is_of_the_protocol(&self) -> bool {
        ["plugin.", "grpc.health.", "grpc.reflection."].iter().any(|prefix| self.method.starts_with(prefix))
    }
}

/// Returns the names and values in the metadata of an event.
fn metadata(entries: &Value) -> Vec<(String, String)> {
    let entries = entries.as_array().into_iter().flatten();
    entries.filter_map(|entry| Some((entry[0].as_str()?.to_owned(), entry[1].as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"kind":"started"}
{"kind":"handshake","version":3}
{"kind":"call","from":"host","connection":"main","call":1,"method":"a.A/One","metadata":[["x","y"],["z",{"bytes":1}]]}
{"kind":"call","from":"plugin","connection":"host/1","call":1,"method":"b.B/Back","metadata":[]}
{"kind":"call","from":"host","connection":"main 2","call":1,"method":"plugin.GRPCStdio/StreamStdio","metadata":[]}
{"kind":"message","from":"host","connection":"main","call":1,"compressed":false,"base64":"AQ=="}
{"kind":"message","from":"plugin","connection":"main","call":1,"compressed":false,"base64":""}
{"kind":"message","from":"plugin","connection":"main 2","call":1,"compressed":false}
{"kind":"status","from":"plugin","connection":"main","call":1,"code":5,"message":"no"}
{"kind":"started"}
"#;

    #[test]
    fn the_calls_of_the_host_are_read_in_their_order() {
        let first = Recording::parse(LINES, Some(1)).unwrap().unwrap();
        assert_eq!(first.version, Some(3));
        let [one, stdio] = first.calls.as_slice() else { panic!("{first:?}") };
        assert_eq!((one.method.as_str(), one.is_of_the_protocol()), ("a.A/One", false));
        assert_eq!(one.metadata, [("x".to_owned(), "y".to_owned())]);
        assert_eq!((&one.requests, &one.responses), (&vec![vec![1]], &vec![vec![]]));
        assert_eq!((one.status.clone(), one.is_incomplete), (Some((5, "no".to_owned())), false));
        assert!(stdio.is_of_the_protocol() && stdio.is_incomplete && stdio.status.is_none());
        assert!(Recording::parse(LINES, None).unwrap().unwrap().calls.is_empty());
        for missing in [0, 3] {
            assert_eq!(Recording::parse(LINES, Some(missing)).unwrap().unwrap_err(), 2);
        }
    }
}
