//! The magic cookie: without it a plugin does not serve.

use std::time::Duration;

use rpcplugin::{
    handshake::{HandshakeLine, HandshakeLineFault},
    host::ExitReason,
};

use super::check::{Check, Verdict, check, fail, skip};
use crate::raw_host::{PluginUnderTest, Process, quoted};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "cookie-missing",
        Must,
        missing,
        "Without its magic cookie in the environment the plugin does not serve: it prints no handshake line and exits with a status \
         other than 0 (go-plugin: 1).",
        "Check the cookie first. If it is wrong, print the reason on stderr and exit with status 1.",
    ),
    check!(
        "cookie-wrong",
        Must,
        wrong,
        "A plugin with a wrong cookie value does not serve.",
        "Compare the value of the cookie's variable, not only its presence.",
    ),
    check!(
        "cookie-message",
        Should,
        message,
        "A plugin that is started without its cookie explains on stderr that it is a plugin.",
        "Print a sentence such as `This binary is a plugin` on stderr before exiting.",
    ),
];

async fn missing(plugin: &PluginUnderTest) -> Verdict {
    refused(plugin, None).await.map(|(reason, _)| format!("{reason}, nothing served"))
}

async fn wrong(plugin: &PluginUnderTest) -> Verdict {
    if plugin.any_cookie_value {
        return skip("the hosts generate a value for each launch, and the plugin accepts any value");
    }
    refused(plugin, Some("not-the-value")).await.map(|(reason, _)| format!("{reason}, nothing served"))
}

async fn message(plugin: &PluginUnderTest) -> Verdict {
    let Ok((_, process)) = refused(plugin, None).await else {
        return skip("the plugin serves without its cookie: see cookie-missing");
    };
    let stderr = process.stderr();
    match stderr.trim() {
        "" => fail("the plugin exited without a message on stderr"),
        message => Ok(quoted(message, "stderr").trim_start_matches("; ").to_owned()),
    }
}

async fn refused(plugin: &PluginUnderTest, cookie: Option<&str>) -> Verdict<(ExitReason, Process)> {
    let mut process = plugin.start().cookie(cookie).spawn().await?;
    // A plugin that prints a handshake line fails the check, even if it exits afterwards.
    let line = process.first_line(REFUSAL_TIMEOUT).await;
    if let Ok(line) = &line
        && is_handshake_line(&String::from_utf8_lossy(line))
    {
        return fail("the plugin printed a handshake line and serves without the right cookie");
    }
    let Some(reason) = process.exit_within(REFUSAL_TIMEOUT).await else {
        return fail(format!("the plugin neither served nor exited within {} s", REFUSAL_TIMEOUT.as_secs()));
    };
    process.all_printed().await;
    if reason.is_success() {
        return fail("the plugin exited with status 0, which means success");
    }
    Ok((reason, process))
}

/// Whether a line is a handshake line, of gRPC or of another protocol.
fn is_handshake_line(line: &str) -> bool {
    HandshakeLine::parse(line).err().is_none_or(|error| error.fault != HandshakeLineFault::NotAHandshakeLine)
}

/// The limit for a plugin to exit without its cookie.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(30);
