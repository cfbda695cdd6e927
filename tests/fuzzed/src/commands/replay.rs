//! Recordings, as `rpcplugin replay` reads them.

#[path = "../../../../crates/cli/src/commands/replay/recording.rs"]
mod recording;

/// Reads each run of a recording. Returns how many runs it has.
///
/// # Panics
/// If a run has more messages than the text has lines.
pub(crate) fn runs(text: &str) -> usize {
    let Ok(Err(runs)) = recording::Recording::parse(text, Some(0)) else { return 0 };
    for run in 1..=runs.min(4) {
        let read = recording::Recording::parse(text, Some(run)).expect("it was read before");
        let read = read.expect("there is such a run");
        let messages = read.calls.iter().map(|call| call.requests.len() + call.responses.len());
        assert!(read.calls.len() + messages.sum::<usize>() <= text.lines().count());
        for call in &read.calls {
            call.is_of_the_protocol();
        }
    }
    runs
}
