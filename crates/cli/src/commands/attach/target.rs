//! The plugin to attach to, from the command line.

use std::path::Path;

use rpcplugin::{
    AppVersion, Endpoint,
    handshake::{
        HandshakeLine, HandshakeLineError, Multiplexing, ReattachConfig, ReattachConfigs, ReattachError,
    },
    host::{Attachment, Handover, HandoverError},
    tls::{Identity, PeerCertificate, PeerCertificateError, TlsError, Trust},
};
use serde_json::Value;

use crate::{
    error::{ExitsWith, UsageError},
    exit::Exit,
    plugin_args::{TlsFiles, TlsFilesError},
};

/// A plugin to attach to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) attachment: Attachment,
    pub(super) version: AppVersion,
    /// Whether this side has a client certificate.
    pub(super) secured: bool,
}

/// The options that choose a plugin and secure the connection to it.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    /// The name of one of several plugins.
    pub(super) name: Option<&'a str>,
    /// The version of the application's protocol, for a plain address.
    pub(super) version: AppVersion,
    pub(super) tls: &'a TlsFiles,
}

/// The text that describes a plugin.
#[derive(Debug)]
enum Described {
    Json(String),
    Line(String),
}

/// The arguments do not describe a plugin to attach to.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum TargetError {
    /// The handshake line has a certificate, and this side has no key.
    #[error(
        "the handshake line is of a plugin under AutoMTLS, which accepts only the client that launched it"
    )]
    #[diagnostic(
        code(rpcplugin::security::line_of_auto_mtls),
        help(
            "start the plugin without PLUGIN_CLIENT_CERT, or give the certificate of that variable and its key with --cert, --key and \
             --ca. For a plugin that this program launches, use `rpcplugin run --handover FILE` and attach to FILE"
        )
    )]
    AutoMtls,
    /// The handshake line announces multiplexing.
    #[error(
        "the handshake line is of a plugin that multiplexes its connections, and this program cannot attach to it"
    )]
    #[diagnostic(
        code(rpcplugin::protocol::line_of_multiplexing),
        help("start the plugin without PLUGIN_MULTIPLEX_GRPC")
    )]
    Multiplexed,
    #[error(transparent)]
    #[diagnostic(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Reattach(#[from] ReattachError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Line(#[from] HandshakeLineError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Certificate(#[from] PeerCertificateError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Handover(#[from] HandoverError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] TlsFilesError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tls(#[from] TlsError),
}

impl ExitsWith for TargetError {
    const EXIT: Exit = Exit::Usage;
}

impl Target {
    /// Parses the argument: JSON, a handshake line, a file with one of them, or an address.
    pub(super) fn parse(target: &str, choice: &Choice<'_>) -> Result<Self, TargetError> {
        let target = target.trim();
        let address = target.strip_prefix("unix:").map(|path| ("unix", path)).or_else(|| {
            let rest = target.strip_prefix("tcp:").unwrap_or(target);
            let is_address =
                !is_line(target) && Endpoint::parse("tcp", rest).is_ok() && !Path::new(target).exists();
            is_address.then_some(("tcp", rest))
        });
        let given = choice.tls.read()?;
        let known = match address {
            Some((network, address)) => {
                let endpoint = Endpoint::parse(network, address).map_err(|error| UsageError::of(&error))?;
                let attachment = Attachment::new(endpoint, choice.version);
                Self { attachment, version: choice.version, secured: false }
            }
            None => match described(target)? {
                Described::Json(json) => from_json(&json, choice.name)?,
                Described::Line(line) => return from_line(&line, given),
            },
        };
        let Some((identity, trust)) = given else { return Ok(known) };
        Ok(Self { attachment: known.attachment.secured(identity, trust)?, secured: true, ..known })
    }
}

/// Whether a text has the form of a handshake line, valid or not.
fn is_line(text: &str) -> bool {
    text.split_once('|').is_some_and(|(core, rest)| {
        !core.is_empty() && core.bytes().all(|byte| byte.is_ascii_digit()) && rest.matches('|').count() >= 2
    })
}

/// Returns the handshake line or the JSON of the argument or of a file, without the shell assignment around JSON.
fn described(target: &str) -> Result<Described, UsageError> {
    let help = "give reattach JSON, a handshake line, a file with one of them, unix:/PATH, or HOST:PORT";
    if is_line(target) {
        return Ok(Described::Line(target.to_owned()));
    }
    let text = match target.find('{') {
        Some(_) => target.to_owned(),
        None => std::fs::read_to_string(target)
            .map_err(|error| UsageError::new(format!("{target} cannot be read: {error}"), help))?,
    };
    // A plugin prints its handshake line first, and other text may follow.
    if let Some(line) = text.lines().find(|line| !line.trim().is_empty()).filter(|line| is_line(line.trim()))
    {
        return Ok(Described::Line(line.to_owned()));
    }
    match (text.find('{'), text.rfind('}')) {
        (Some(start), Some(end)) if start < end => Ok(Described::Json(text[start..=end].to_owned())),
        _ => Err(UsageError::new(format!("there is neither JSON nor a handshake line in {target}"), help)),
    }
}

/// Parses the handshake line of a plugin that another program or a person has started. `given` is the identity of this side, and what it
/// trusts in a plugin without a certificate in the line.
fn from_line(line: &str, given: Option<(Identity, Trust)>) -> Result<Target, TargetError> {
    let line = HandshakeLine::parse(line)?;
    if line.multiplexing == Multiplexing::Yes {
        return Err(TargetError::Multiplexed);
    }
    let attachment = Attachment::new(line.endpoint, line.version);
    let (attachment, secured) = match (line.certificate, given) {
        (None, None) => (attachment, false),
        (Some(_), None) => return Err(TargetError::AutoMtls),
        (None, Some((identity, trust))) => (attachment.secured(identity, trust)?, true),
        (Some(der), Some((identity, _))) => {
            let plugin = PeerCertificate::from_der(der)?;
            (attachment.secured(identity, Trust::Pinned(plugin))?, true)
        }
    };
    Ok(Target { attachment, version: line.version, secured })
}

/// Parses the JSON of one plugin, with or without the identity of its host, or of several plugins by name.
fn from_json(text: &str, name: Option<&str>) -> Result<Target, TargetError> {
    // The parser below reports invalid JSON.
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    if !value.is_object() || value.get("Protocol").is_some() || value.get("Addr").is_some() {
        let version = ReattachConfig::parse(text)?.version.unwrap_or(AppVersion(0));
        let attachment = Handover::parse(text)?;
        return Ok(Target { attachment, version, secured: value.get("Tls").is_some() });
    }
    let mut plugins = ReattachConfigs::parse(text)?.0;
    let names = plugins.keys().cloned().collect::<Vec<_>>().join(", ");
    let chosen = match name {
        Some(name) => plugins.remove_entry(name),
        None if plugins.len() == 1 => plugins.pop_first(),
        None => None,
    };
    let Some((name, config)) = chosen else {
        let (message, help) = match name {
            _ if names.is_empty() => {
                let help = "give the complete JSON that the plugin or `rpcplugin run` printed";
                ("there is no plugin in the JSON".to_owned(), help.to_owned())
            }
            Some(name) => (
                format!("there is no plugin {name:?} in the JSON"),
                format!("use one of the plugins: {names}"),
            ),
            None => ("the JSON has several plugins".to_owned(), format!("select one with --name: {names}")),
        };
        return Err(UsageError::new(message, help).into());
    };
    let version = config.version.unwrap_or(AppVersion(0));
    Ok(Target { attachment: Attachment::from(config).name(name), version, secured: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"Protocol":"grpc","ProtocolVersion":6,"Pid":1,"Test":true,"Addr":{"Network":"unix","String":"/tmp/p"}}"#;

    #[test]
    fn reads_one_plugin_and_several() {
        assert_eq!(from_json(ONE, None).unwrap().version, AppVersion(6));
        let several = format!(r#"{{"a":{ONE},"b":{ONE}}}"#);
        assert!(from_json(&several, None).is_err());
        assert!(from_json(&several, Some("b")).is_ok());
        assert!(from_json(&format!(r#"{{"a":{ONE}}}"#), None).is_ok());
        assert!(from_json("{", None).is_err());
        let message = |text, name| from_json(text, name).unwrap_err().to_string();
        assert_eq!(message(&several, Some("c")), "there is no plugin \"c\" in the JSON");
        assert_eq!(message("{}", None), "there is no plugin in the JSON");
    }

    #[test]
    fn reads_the_json_in_an_assignment() {
        let assignment = format!("TF_REATTACH_PROVIDERS='{ONE}'");
        assert!(matches!(described(&assignment).unwrap(), Described::Json(json) if json == ONE));
        assert!(described("/nowhere/at/all").is_err());
    }

    #[test]
    fn handshake_lines_are_recognized() {
        for line in ["1|3|unix|/tmp/x|grpc|", "1|3|tcp|127.0.0.1:1234|grpc"] {
            let described = described(line).unwrap();
            let Described::Line(line) = described else { panic!("{described:?}") };
            assert!(from_line(&line, None).is_ok(), "{line}");
        }
        // go-plugin ignores a certificate of up to 50 characters.
        let of_auto_mtls = format!("1|3|unix|/tmp/x|grpc|{}", "A".repeat(60));
        for (line, message) in [
            ("1|3|unix|/tmp/x|netrpc|", "net/rpc"),
            ("2|3|unix|/tmp/x|grpc|", "another version of the handshake"),
            ("1|3|unix|/tmp/x|grpc||true", "multiplexes its connections"),
            (&*of_auto_mtls, "under AutoMTLS"),
        ] {
            let error = from_line(line, None).unwrap_err().to_string();
            assert!(error.contains(message), "{line}: {error}");
        }
        assert!(!is_line("/tmp/1|2|3|4") && !is_line("1|2|3") && !is_line("a:1"));
    }
}
