//! Who starts a plugin: a host that knows the cookie, or somebody at a prompt.

use std::time::Duration;

use rpcplugin::{
    ExitReason,
    handshake::{HandshakeLine, HandshakeLineFault},
};

use super::check::{Check, Verdict, check, fail, skip};
use crate::raw_host::{PluginUnderTest, Process, quoted};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "cookie-missing",
        Must,
        missing,
        "Without its magic cookie in the environment a plugin refuses to serve: no handshake line, and an exit status \
         other than 0 (go-plugin: 1).",
        "Compare the cookie's variable with the expected value before anything else; print why on stderr and exit with 1.",
    ),
    check!(
        "cookie-wrong",
        Must,
        wrong,
        "A cookie with another value counts as none.",
        "Compare the whole value, not only whether the variable is there.",
    ),
    check!(
        "cookie-message",
        Should,
        message,
        "A plugin that is started by hand tells the person so, on stderr.",
        "Print a sentence such as `This binary is a plugin` on stderr before exiting.",
    ),
];

async fn missing(subject: &PluginUnderTest) -> Verdict {
    refused(subject, None).await.map(|(reason, _)| format!("{reason}, nothing served"))
}

async fn wrong(subject: &PluginUnderTest) -> Verdict {
    if subject.any_cookie_value {
        return skip("its hosts make up a value for each start, and it accepts any");
    }
    refused(subject, Some("not-the-value")).await.map(|(reason, _)| format!("{reason}, nothing served"))
}

async fn message(subject: &PluginUnderTest) -> Verdict {
    let Ok((_, process)) = refused(subject, None).await else {
        return skip("the plugin does not refuse: see cookie-missing");
    };
    let stderr = process.stderr();
    match stderr.trim() {
        "" => fail("it ended without a word on stderr"),
        said => Ok(quoted(said, "stderr").trim_start_matches("; its ").to_owned()),
    }
}

async fn refused(subject: &PluginUnderTest, cookie: Option<&str>) -> Verdict<(ExitReason, Process)> {
    let mut process = subject.start().cookie(cookie).spawn()?;
    // Either a line comes or the process ends; both at once would be a plugin that serves and dies.
    let line = process.first_line(ANSWER_TIMEOUT).await;
    if let Ok(line) = &line
        && is_answer(&String::from_utf8_lossy(line))
    {
        return fail("it printed a handshake line and serves whoever starts it");
    }
    let Some(reason) = process.ended(ANSWER_TIMEOUT).await else {
        return fail(format!("it neither served nor ended within {} s", ANSWER_TIMEOUT.as_secs()));
    };
    process.all_printed().await;
    if reason.is_success() {
        return fail("it ended with exit status 0, as if nothing were wrong");
    }
    Ok((reason, process))
}

/// Whether a line is one of a handshake, of whatever protocol.
fn is_answer(line: &str) -> bool {
    HandshakeLine::parse(line).err().is_none_or(|error| error.fault != HandshakeLineFault::NotAnAnswer)
}

/// How long a plugin may take to see that it is not wanted.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
