//! The exit of a container, from its state.

use rpcplugin_client::{ExitCause, ExitReason, ExitReport, Signal};
use serde::Deserialize;

/// The state of a container, as the engine reports it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct State {
    pub(crate) running: bool,
    pub(crate) paused: bool,
    pub(crate) restarting: bool,
    #[serde(rename = "OOMKilled")]
    pub(crate) oom_killed: bool,
    pub(crate) pid: u32,
    pub(crate) exit_code: i32,
    pub(crate) error: String,
}

impl State {
    /// Whether the container lives. Podman counts a paused container as not running.
    pub(crate) fn is_alive(&self) -> bool {
        self.running || self.paused || self.restarting
    }
}

/// The exit of a container that is not alive any more. `ran_out` is whether the kernel has counted a kill for want of memory.
pub(crate) fn reason(state: &State, memory: Option<u64>, ran_out: bool) -> ExitReason {
    let code = state.exit_code;
    let killed = code == KILLED && ran_out;
    if (state.oom_killed && code != 0) || killed {
        let limit = memory.map_or_else(String::new, |bytes| format!(" of {}", amount(bytes)));
        let message =
            format!("the container used more memory than its limit{limit}, and the kernel killed it");
        return ExitReason::Reported(ExitReport::new(ExitCause::OutOfMemory, message).status(code));
    }
    if !state.error.is_empty() && code != 0 {
        return ExitReason::Reported(
            ExitReport::new(ExitCause::StartFailed, state.error.clone()).status(code),
        );
    }
    match code {
        // An engine reports a signal as a shell does.
        129..=159 => ExitReason::Signal(Signal::new(code - 128)),
        code => ExitReason::Status(code),
    }
}

/// The exit of a container that the engine does not have any more.
pub(crate) fn removed() -> ExitReason {
    let message = "another program removed the container, or the engine lost it";
    ExitReason::Reported(ExitReport::new(ExitCause::Removed, message))
}

/// `32 MiB`, or bytes if the number is no whole one.
fn amount(bytes: u64) -> String {
    match bytes {
        0 => "0 bytes".to_owned(),
        bytes if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

/// The status of a process that SIGKILL ended.
const KILLED: i32 = 128 + 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn state(json: &str) -> State {
        serde_json::from_str(json).expect("a state")
    }

    #[test]
    fn states_of_both_engines_are_read() {
        let docker = r#"{"Status":"running","Running":true,"Paused":true,"OOMKilled":false,"Pid":7,"ExitCode":0,"Error":""}"#;
        assert!(state(docker).is_alive() && state(docker).pid == 7);
        let podman =
            r#"{"Status":"stopped","Running":false,"Paused":false,"OOMKilled":true,"Pid":0,"ExitCode":137}"#;
        assert!(!state(podman).is_alive() && state(podman).oom_killed);
    }

    #[test]
    fn a_kill_for_want_of_memory_is_named() {
        let killed = State { exit_code: 137, ..State::default() };
        let said = State { oom_killed: true, ..killed.clone() };
        for (state, counted) in [(&said, false), (&killed, true)] {
            let ExitReason::Reported(report) = reason(state, Some(32 << 20), counted) else {
                panic!("not reported")
            };
            assert_eq!((report.cause, report.status), (ExitCause::OutOfMemory, Some(137)));
            assert!(report.message.contains("32 MiB"), "{}", report.message);
        }
        assert_eq!(reason(&killed, Some(32 << 20), false), ExitReason::Signal(Signal::KILL));
        let survived = State { oom_killed: true, ..State::default() };
        assert_eq!(reason(&survived, None, true), ExitReason::Status(0), "another process of the container");
    }

    #[test]
    fn statuses_are_read_as_a_shell_writes_them() {
        let of = |exit_code| reason(&State { exit_code, ..State::default() }, None, false);
        assert_eq!(of(0), ExitReason::Status(0));
        assert_eq!(of(3), ExitReason::Status(3));
        assert_eq!(of(139), ExitReason::Signal(Signal::new(11)));
        assert_eq!(of(255), ExitReason::Status(255));
        let failed = State { exit_code: 127, error: "no such program".to_owned(), ..State::default() };
        let ExitReason::Reported(report) = reason(&failed, None, false) else { panic!("not reported") };
        assert_eq!((report.cause, &*report.message), (ExitCause::StartFailed, "no such program"));
    }

    #[test]
    fn amounts_are_whole_numbers() {
        assert_eq!([32 << 20, 1536 << 10, 1000].map(amount), ["32 MiB", "1536 KiB", "1000 bytes"]);
    }
}
