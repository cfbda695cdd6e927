//! What a check is, and how it ends.

use std::{fmt, pin::Pin, time::Duration};

use rpcplugin::{
    Endpoint, PluginChannel,
    handshake::HandshakeLine,
    mtls::{Identity, MutualTls, PeerCertificate, Trust},
    transport::Security,
};
use serde::Serialize;
use tonic::Status;

use crate::raw_host::{
    NoLine, OwnTls, PluginUnderTest, Process, Start, answered, channel, health, quoted, shown_line,
};

/// One thing that a host may rely on.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) level: Level,
    /// The rule of the protocol, in words, and where it comes from.
    pub(super) rule: &'static str,
    /// What the plugin's author has to do.
    pub(super) advice: &'static str,
    pub(super) run: for<'a> fn(&'a PluginUnderTest) -> Checking<'a>,
}

pub(super) type Checking<'a> = Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// How much a rule weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Hosts break without it.
    Must,
    /// Hosts get along without it, and somebody pays for it.
    Should,
    /// Worth knowing. Plugins differ here, and none is wrong.
    Info,
}

/// What was seen, or why that is not what was to be seen.
pub(super) type Verdict<T = String> = Result<T, CheckFailure>;

/// Why a check does not pass.
#[derive(Debug)]
pub(super) enum CheckFailure {
    /// The rule is broken: what was seen.
    Fail(String),
    /// The rule does not apply to this plugin: why.
    Skip(String),
}

/// Anything that goes wrong on the way is what was seen.
impl<E: std::error::Error + 'static> From<E> for CheckFailure {
    fn from(error: E) -> Self {
        Self::Fail(in_one_line(&error))
    }
}

pub(super) fn fail<T>(seen: impl Into<String>) -> Verdict<T> {
    Err(CheckFailure::Fail(seen.into()))
}

pub(super) fn skip<T>(why: impl Into<String>) -> Verdict<T> {
    Err(CheckFailure::Skip(why.into()))
}

/// Makes an entry of a list of checks.
macro_rules! check {
    ($name:literal, $level:ident, $run:expr, $rule:literal, $advice:literal $(,)?) => {
        $crate::commands::conformance::check::Check {
            name: $name,
            level: $crate::commands::conformance::check::Level::$level,
            rule: $rule,
            advice: $advice,
            run: |subject| Box::pin($run(subject)),
        }
    };
}
pub(super) use check;

/// A plugin that has announced itself.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) process: Process,
    pub(super) line: String,
    pub(super) answer: HandshakeLine,
}

/// A plugin that has announced itself, and how its host speaks to it.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) process: Process,
    pub(super) answer: HandshakeLine,
    pub(super) security: Security,
}

/// A plugin under mutual TLS.
#[derive(Debug)]
pub(super) struct Mutual {
    pub(super) served: Served,
    pub(super) host: Identity,
    pub(super) plugin: PeerCertificate,
}

/// Starts a plugin, and reads its line.
pub(super) async fn announced(start: Start<'_>) -> Verdict<Announced> {
    let patience = start.start_timeout();
    greet(start.spawn()?, patience).await
}

/// Reads the line of a process.
pub(super) async fn greet(process: Process, limit: Duration) -> Verdict<Announced> {
    let (process, line) = line_of(process, limit).await?;
    match HandshakeLine::parse(&line) {
        Ok(answer) => Ok(Announced { process, line, answer }),
        Err(error) => fail(format!("{}: {:?}", error.fault, shown_line(&line))),
    }
}

/// The first line of a process, whatever it says.
pub(super) async fn line_of(mut process: Process, limit: Duration) -> Verdict<(Process, String)> {
    match process.first_line(limit).await {
        Ok(line) => Ok((process, String::from_utf8_lossy(&line).into_owned())),
        Err(error) => {
            let said = if matches!(error, NoLine::Ended { .. }) { process.stderr() } else { String::new() };
            fail(format!("{error}{}", quoted(&said, "stderr")))
        }
    }
}

/// How a host that offers nothing reaches the plugin: in plain text, or by certificates that both have from elsewhere.
pub(super) fn unoffered(subject: &PluginUnderTest) -> Verdict<Security> {
    match &subject.tls {
        OwnTls::None => Ok(Security::Plain),
        OwnTls::Given(security) => Ok(security.clone()),
        OwnTls::Missing => skip("it has certificates of its own, and --cert, --key and --ca were not given"),
    }
}

/// Makes sure that AutoMTLS can be asked of the plugin.
pub(super) fn takes_offers(subject: &PluginUnderTest) -> Verdict<()> {
    match subject.tls {
        OwnTls::None => Ok(()),
        OwnTls::Missing | OwnTls::Given(_) => skip("it has certificates of its own, and no use for AutoMTLS"),
    }
}

/// Starts a plugin without an offer of AutoMTLS.
pub(super) async fn served_plain(subject: &PluginUnderTest) -> Verdict<Served> {
    let security = unoffered(subject)?;
    let Announced { process, answer, .. } = announced(subject.start()).await?;
    Ok(Served { process, answer, security })
}

/// Starts a plugin under mutual TLS.
pub(super) async fn served_mutual(subject: &PluginUnderTest) -> Verdict<Mutual> {
    takes_offers(subject)?;
    let host = Identity::generate()?;
    mutual(announced(subject.start().certificate(host.certificate_pem())).await?, host)
}

/// The security of a plugin that was offered the host's certificate.
pub(super) fn mutual(announced: Announced, host: Identity) -> Verdict<Mutual> {
    let Announced { process, answer, .. } = announced;
    let Some(certificate) = answer.certificate.clone() else {
        return skip("the plugin answers without a certificate: see mtls-certificate");
    };
    let plugin = PeerCertificate::from_der(certificate)?;
    let tls = MutualTls::new(host.clone(), Trust::Pinned(plugin.clone()))?;
    Ok(Mutual { served: Served { process, answer, security: Security::Mutual(tls) }, host, plugin })
}

impl Served {
    /// A new connection of the plugin's host.
    pub(super) async fn channel(&self) -> Verdict<PluginChannel> {
        Ok(channel(&self.answer.endpoint, self.security.clone()).await?)
    }

    /// Makes sure that the plugin still answers its host on a new connection.
    pub(super) async fn still_serves(&self, after: &str) -> Verdict<()> {
        let result = match channel(&self.answer.endpoint, self.security.clone()).await {
            Ok(channel) => {
                let result = health(channel, "plugin").await;
                if answered(&result) { Ok(()) } else { result.map(drop).map_err(|error| in_one_line(&error)) }
            }
            Err(error) => Err(in_one_line(&error)),
        };
        let Err(error) = result else { return Ok(()) };
        let end = match self.process.ended(Duration::ZERO).await {
            Some(reason) => format!("it has ended with {reason}{}", quoted(&self.process.stderr(), "stderr")),
            None => "it is still running".to_owned(),
        };
        fail(format!("after {after} the plugin does not answer its host: {error}; {end}"))
    }

    /// The path of its socket, if it listens on one that is a file.
    pub(super) fn socket(&self) -> Verdict<&std::path::Path> {
        match &self.answer.endpoint {
            Endpoint::Unix(path) if path.as_path().is_absolute() => Ok(path.as_path()),
            Endpoint::Unix(_) => skip("the plugin's socket is not a file"),
            other => skip(format!("the plugin listens on {other}")),
        }
    }
}

/// An error and its causes.
pub(super) fn in_one_line(error: &(dyn std::error::Error + 'static)) -> String {
    // tonic writes a status with its source in the form for programmers.
    let mut line = match error.downcast_ref::<Status>() {
        Some(status) => format!("{:?}, {}", status.code(), status.message()),
        None => error.to_string(),
    };
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Some libraries repeat their cause's text in their own.
        if !line.contains(&text) {
            line += &format!(": {text}");
        }
        source = cause.source();
    }
    line
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

/// How long a Go host waits for a plugin that it has asked to end, before it kills it.
pub(super) const GRACE: Duration = Duration::from_secs(2);
