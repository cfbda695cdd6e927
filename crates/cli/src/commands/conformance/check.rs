//! A check, its verdict, and helpers that start the plugin.

use std::{fmt, pin::Pin, time::Duration};

use rpcplugin::{
    Endpoint, PluginChannel,
    error::with_causes,
    handshake::HandshakeLine,
    tls::{Identity, MutualTls, PeerCertificate, Trust},
    transport::Security,
};
use serde::Serialize;
use tonic::Status;

use crate::{
    raw_host::{
        Address, NoLine, OwnTls, PluginUnderTest, Process, Start, channel, health, is_response, quoted,
        shown_line,
    },
    runner::AnyRunner,
};

/// A rule of the protocol, with the code that checks it.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) level: Level,
    /// The rule, and where it comes from.
    pub(super) rule: &'static str,
    /// What the author of the plugin must do.
    pub(super) advice: &'static str,
    pub(super) run: for<'a> fn(&'a PluginUnderTest) -> Checking<'a>,
}

pub(super) type Checking<'a> = Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// The weight of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Hosts fail if the rule is broken.
    Must,
    /// Hosts work if the rule is broken, with a disadvantage.
    Should,
    /// A property in which correct plugins differ.
    Info,
}

/// What the check saw, or why it did not pass.
pub(super) type Verdict<T = String> = Result<T, CheckFailure>;

/// Why a check did not pass.
#[derive(Debug)]
pub(super) enum CheckFailure {
    /// The plugin breaks the rule. The text says what was seen.
    Fail(String),
    /// The rule does not apply to the plugin. The text is the reason.
    Skip(String),
}

/// An unexpected error fails the check.
impl<E: std::error::Error + 'static> From<E> for CheckFailure {
    fn from(error: E) -> Self {
        Self::Fail(one_line(&error))
    }
}

pub(super) fn fail<T>(seen: impl Into<String>) -> Verdict<T> {
    Err(CheckFailure::Fail(seen.into()))
}

pub(super) fn skip<T>(why: impl Into<String>) -> Verdict<T> {
    Err(CheckFailure::Skip(why.into()))
}

/// Makes a [`Check`].
macro_rules! check {
    ($name:literal, $level:ident, $run:expr, $rule:literal, $advice:literal $(,)?) => {
        $crate::commands::conformance::check::Check {
            name: $name,
            level: $crate::commands::conformance::check::Level::$level,
            rule: $rule,
            advice: $advice,
            run: |plugin| Box::pin($run(plugin)),
        }
    };
}
pub(super) use check;

/// A plugin that has printed its handshake line.
#[derive(Debug)]
pub(super) struct PrintedLine {
    pub(super) process: Process,
    pub(super) text: String,
    pub(super) line: HandshakeLine,
    pub(super) address: Address,
}

/// A plugin that has printed its handshake line, and the security of connections to it.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) process: Process,
    pub(super) address: Address,
    pub(super) security: Security,
}

/// A plugin under mutual TLS.
#[derive(Debug)]
pub(super) struct Mutual {
    pub(super) served: Served,
    pub(super) host: Identity,
    pub(super) certificate: PeerCertificate,
}

/// Starts a plugin and reads its handshake line.
pub(super) async fn printed_line(start: Start<'_>) -> Verdict<PrintedLine> {
    let timeout = start.start_timeout();
    read_line(start.spawn().await?, timeout).await
}

/// Reads the handshake line of a process.
pub(super) async fn read_line(process: Process, limit: Duration) -> Verdict<PrintedLine> {
    let (process, text) = line_of(process, limit).await?;
    match HandshakeLine::parse(&text) {
        Ok(line) => Ok(PrintedLine { address: process.address(&line)?, process, text, line }),
        Err(error) => fail(format!("{}: {:?}", error.fault, shown_line(&text))),
    }
}

/// Reads the first line of a process, whether or not it is a handshake line.
pub(super) async fn line_of(mut process: Process, limit: Duration) -> Verdict<(Process, String)> {
    match process.first_line(limit).await {
        Ok(line) => Ok((process, String::from_utf8_lossy(&line).into_owned())),
        Err(error) => {
            let stderr =
                if matches!(error, NoLine::Exited { .. }) { process.stderr() } else { String::new() };
            fail(format!("{error}{}", quoted(&stderr, "stderr")))
        }
    }
}

/// Returns the security of connections without AutoMTLS: plain text, or the certificates of `--cert`, `--key` and `--ca`.
pub(super) fn security_without_auto_mtls(plugin: &PluginUnderTest) -> Verdict<Security> {
    match &plugin.tls {
        OwnTls::None => Ok(Security::Plain),
        OwnTls::Given(security) => Ok(security.clone()),
        OwnTls::Missing => {
            skip("the plugin has its own certificates, and --cert, --key and --ca are missing")
        }
    }
}

/// Skips the check for a plugin with its own certificates.
pub(super) fn supports_auto_mtls(plugin: &PluginUnderTest) -> Verdict<()> {
    match plugin.tls {
        OwnTls::None => Ok(()),
        OwnTls::Missing | OwnTls::Given(_) => {
            skip("the plugin has its own certificates in place of AutoMTLS")
        }
    }
}

/// Skips the check for a plugin that a runner starts elsewhere: the check looks at the process or at its files.
pub(super) fn is_child_process(plugin: &PluginUnderTest) -> Verdict<()> {
    match plugin.runner.as_ref().is_none_or(AnyRunner::is_child) {
        true => Ok(()),
        false => skip("--runner was given: this needs a plugin that is a child process of this program"),
    }
}

/// Starts a plugin without AutoMTLS.
pub(super) async fn served_plain(plugin: &PluginUnderTest) -> Verdict<Served> {
    let security = security_without_auto_mtls(plugin)?;
    let PrintedLine { process, address, .. } = printed_line(plugin.start()).await?;
    Ok(Served { process, address, security })
}

/// Starts a plugin under AutoMTLS.
pub(super) async fn served_mutual(plugin: &PluginUnderTest) -> Verdict<Mutual> {
    supports_auto_mtls(plugin)?;
    let host = Identity::generate()?;
    mutual(printed_line(plugin.start().certificate(host.certificate_pem())).await?, host)
}

/// Returns the security of connections to a plugin that got the host's certificate.
pub(super) fn mutual(announced: PrintedLine, host: Identity) -> Verdict<Mutual> {
    let PrintedLine { process, line, address, .. } = announced;
    let Some(certificate) = line.certificate else {
        return skip("the handshake line has no certificate: see mtls-certificate");
    };
    let certificate = PeerCertificate::from_der(certificate)?;
    let tls = MutualTls::new(host.clone(), Trust::Pinned(certificate.clone()))?;
    Ok(Mutual { served: Served { process, address, security: Security::Mutual(tls) }, host, certificate })
}

impl Served {
    /// Opens a new connection as the plugin's host.
    pub(super) async fn channel(&self) -> Verdict<PluginChannel> {
        Ok(channel(&self.address, self.security.clone()).await?)
    }

    /// Checks that the plugin still responds to its host on a new connection.
    pub(super) async fn still_serves(&self, after: &str) -> Verdict<()> {
        let result = match channel(&self.address, self.security.clone()).await {
            Ok(channel) => {
                let result = health(channel, "plugin").await;
                if is_response(&result) { Ok(()) } else { result.map(drop).map_err(|error| one_line(&error)) }
            }
            Err(error) => Err(one_line(&error)),
        };
        let Err(error) = result else { return Ok(()) };
        let end = match self.process.exit_within(Duration::ZERO).await {
            Some(reason) => {
                format!("it has ended with {reason}{}", quoted(&self.process.stderr(), "stderr"))
            }
            None => "it is still running".to_owned(),
        };
        fail(format!("after {after} the plugin does not respond to its host: {error}; {end}"))
    }

    /// Returns the path of the plugin's socket. Skips the check if the socket is not a file.
    pub(super) fn socket(&self) -> Verdict<&std::path::Path> {
        match self.address.endpoint() {
            Endpoint::Unix(path) if path.as_path().is_absolute() => Ok(path.as_path()),
            Endpoint::Unix(_) => skip("the plugin's socket is not a file"),
            other => skip(format!("the plugin listens on {other}")),
        }
    }
}

/// Formats an error and its causes in one line.
pub(super) fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    // The `Display` of a status has its source in `Debug` form.
    let message = match error.downcast_ref::<Status>() {
        Some(status) => format!("{:?}, {}", status.code(), status.message()),
        None => error.to_string(),
    };
    with_causes(message, error)
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::Info => "INFO",
        })
    }
}

/// The time between Shutdown and the kill in a Go host.
pub(super) const GRACE: Duration = Duration::from_secs(2);
