//! Faults in a configuration: all at once, each with its place.

use std::{error::Error, fmt, io, ops::Range, path::PathBuf, sync::Arc, time::Duration};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use rpcplugin_core::{CookieError, EndpointError, PortRangeError};

use crate::{side::Side, value::Text};

/// A configuration that cannot be used, with every fault in it.
///
/// Each [`Fault`] is a related diagnostic. A fault in a file underlines its place.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the configuration of the {side} cannot be used: {}", summary(.faults))]
#[diagnostic(code(rpcplugin::config::invalid), help("{}", remedy(.faults)))]
pub struct ConfigError {
    side: Side,
    #[related]
    faults: Vec<Fault>,
}

/// A fault in a configuration, and its place.
#[derive(Debug)]
pub struct Fault {
    kind: FaultKind,
    origin: Origin,
    excerpt: Option<Excerpt>,
}

/// The origin of a setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The default.
    Default,
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line and the column, both counted from 1. `None` if the origin is the file as a whole.
        position: Option<(usize, usize)>,
    },
    /// The environment variable of this name.
    Variable(String),
    /// The program.
    Code,
}

/// The kinds of faults in a configuration.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum FaultKind {
    /// The configuration file cannot be read.
    #[error("the configuration file cannot be read")]
    #[diagnostic(
        code(rpcplugin::config::file_not_readable),
        help(
            "correct the path in `PLUGIN_CONFIG_FILE` or in the program, or give this user permission to read the file"
        )
    )]
    FileNotReadable(#[source] io::Error),
    /// A configuration file is named, and this program is built without the feature for files.
    #[error("this program is built without configuration files")]
    #[diagnostic(
        code(rpcplugin::config::files_not_built),
        help("unset the variable, or enable the feature `config-file` of rpcplugin in this program")
    )]
    FilesNotBuilt,
    /// The format of the configuration file is not supported.
    #[error("configuration files in {format} are not supported")]
    #[diagnostic(
        code(rpcplugin::config::file_format),
        help("write the settings as TOML, or as JSON in a file whose name ends in `.json`")
    )]
    FileFormat {
        /// The format.
        format: &'static str,
    },
    /// The configuration file is not valid TOML or JSON.
    #[error("the file is not valid {format}: {why}")]
    #[diagnostic(code(rpcplugin::config::syntax), help("correct the file at this place"))]
    Syntax {
        /// `TOML` or `JSON`.
        format: &'static str,
        /// The parser's message.
        why: String,
    },
    /// There is no setting of this name.
    #[error("there is no setting `{name}`")]
    #[diagnostic(code(rpcplugin::config::unknown_setting), help("{remedy}"))]
    UnknownSetting {
        /// The name.
        name: String,
        /// The help, with the nearest name if there is one.
        remedy: String,
    },
    /// The setting does not allow the value.
    #[error("{setting} cannot be {given}")]
    #[diagnostic(code(rpcplugin::config::not_allowed), help("give {allowed}"))]
    NotAllowed {
        /// The setting.
        setting: String,
        /// The value, quoted and shortened, or its kind.
        given: String,
        /// The values that are allowed.
        allowed: String,
    },
    /// The value is too small or too large.
    #[error("{setting} cannot be {given}")]
    #[diagnostic(code(rpcplugin::config::out_of_range), help("give a value {allowed}"))]
    OutOfRange {
        /// The setting.
        setting: String,
        /// The value.
        given: String,
        /// The range, such as `from 1s to 1h`.
        allowed: String,
    },
    /// The value of a variable is not UTF-8.
    #[error("the value of {setting} is not UTF-8")]
    #[diagnostic(code(rpcplugin::config::not_unicode), help("set the variable to text in UTF-8"))]
    NotUnicode {
        /// The setting.
        setting: String,
    },
    /// The file with a setting's value cannot be read.
    #[error("the value of {setting} cannot be read from {}", .path.display())]
    #[diagnostic(
        code(rpcplugin::config::value_file),
        help(
            "correct the path after `file://` (an absolute path has three slashes), or give this user permission to read the \
             file"
        )
    )]
    ValueFile {
        /// The setting.
        setting: String,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file with a setting's value is empty.
    #[error("the file {} with the value of {setting} is empty", .path.display())]
    #[diagnostic(
        code(rpcplugin::config::value_file_empty),
        help("write the value into the file, or name another file")
    )]
    ValueFileEmpty {
        /// The setting.
        setting: String,
        /// The file.
        path: PathBuf,
    },
    /// A setting of pyvider that would have no effect.
    #[error("`{name}` cannot be set to {given}: {reason}")]
    #[diagnostic(code(rpcplugin::config::without_effect), help("{remedy}"))]
    WithoutEffect {
        /// The variable or setting.
        name: String,
        /// The value, quoted and shortened.
        given: String,
        /// Why the setting would have no effect.
        reason: &'static str,
        /// The help.
        remedy: &'static str,
    },
    /// A certificate is set without its private key, or a private key without its certificate.
    #[error("{given} is set without {missing}")]
    #[diagnostic(
        code(rpcplugin::config::incomplete_identity),
        help("set {missing} as well, or remove {given} to use an ephemeral identity")
    )]
    IncompleteIdentity {
        /// The setting that is set.
        given: &'static str,
        /// The setting that is missing.
        missing: &'static str,
    },
    /// A plugin's certificate is set without the roots that verify hosts.
    #[error("certificate is set without client_roots")]
    #[diagnostic(
        code(rpcplugin::config::certificate_without_roots),
        help(
            "set client_roots (`PLUGIN_CLIENT_ROOT_CERTS`) as well: TLS that authenticates only the plugin is not supported"
        )
    )]
    CertificateWithoutRoots,
    /// Roots are set, but TLS is off.
    #[error("{setting} is set, but TLS is off")]
    #[diagnostic(
        code(rpcplugin::config::roots_without_tls),
        help("set auto_mtls to true, or set certificate and private_key")
    )]
    RootsWithoutTls {
        /// The setting.
        setting: &'static str,
    },
    /// The magic cookie has a key without a value, or a value without a key.
    #[error("the magic cookie is set without {missing}")]
    #[diagnostic(
        code(rpcplugin::config::cookie_incomplete),
        help("set {missing} as well, or set neither to use the program's own cookie")
    )]
    CookieIncomplete {
        /// The setting that is missing.
        missing: String,
    },
    /// The magic cookie is invalid.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cookie(CookieError),
    /// The path cannot be the path of a socket.
    #[error(transparent)]
    #[diagnostic(transparent)]
    SocketPath(EndpointError),
    /// The lowest port is above the highest.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Ports(PortRangeError),
    /// A setting exceeds another one that limits it.
    #[error("{less} ({}) is more than {more} ({})", .less_value.to_text(), .more_value.to_text())]
    #[diagnostic(code(rpcplugin::config::wrong_order), help("lower {less}, or raise {more}"))]
    WrongOrder {
        /// The setting that must not be the greater one.
        less: String,
        /// Its value.
        less_value: Duration,
        /// The setting that limits it.
        more: String,
        /// Its value.
        more_value: Duration,
    },
    /// Plugins close connections with pings at this interval.
    #[error("pings every {} are too frequent: plugins built on Go or gRPC C-core close the connection", .interval.to_text())]
    #[diagnostic(
        code(rpcplugin::config::keepalive_too_frequent),
        help(
            "set keepalive.interval to 5m or more, or set keepalive.permitted to true if all plugins permit such \
             pings"
        )
    )]
    KeepaliveTooFrequent {
        /// The interval.
        interval: Duration,
    },
}

impl ConfigError {
    /// Returns `Ok` if there are no faults.
    pub(crate) fn from_faults(side: Side, faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self { side, faults }) }
    }

    /// The side to which the configuration belongs.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// The faults. There is at least one.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl Fault {
    /// Creates a fault that is not at a place in a file.
    pub(crate) fn new(kind: FaultKind, origin: Origin) -> Self {
        Self { kind, origin, excerpt: None }
    }

    /// Creates a fault at a place in a file.
    pub(crate) fn in_file(kind: FaultKind, origin: Origin, excerpt: Excerpt) -> Self {
        Self { kind, origin, excerpt: Some(excerpt) }
    }

    /// The kind of the fault.
    #[must_use]
    pub fn kind(&self) -> &FaultKind {
        &self.kind
    }

    /// The origin of the faulty value.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.kind) {
            // The message names the variable already.
            (Origin::Variable(_), FaultKind::WithoutEffect { .. }) => self.kind.fmt(f),
            _ => write!(f, "{}: {}", self.origin, self.kind),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

impl Diagnostic for Fault {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.kind.code()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.kind.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| &excerpt.text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let excerpt = self.excerpt.as_ref()?;
        let label = LabeledSpan::new(Some("here".to_owned()), excerpt.span.start, excerpt.span.len());
        Some(Box::new(std::iter::once(label)))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, position: None } => write!(f, "{}", path.display()),
            Self::File { path, position: Some((line, column)) } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::Variable(name) => f.write_str(name),
            Self::Code => f.write_str("the program"),
        }
    }
}

/// A place in the text of a file. Secrets in the text are masked.
#[derive(Debug)]
pub(crate) struct Excerpt {
    pub(crate) text: NamedSource<Arc<str>>,
    pub(crate) span: Range<usize>,
}

/// Quotes a value for a message: escaped and shortened.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return format!("{text:?}");
    }
    let beginning: String = text.chars().take(LONGEST).collect();
    format!("{beginning:?} and so on")
}

fn summary(faults: &[Fault]) -> String {
    match faults {
        [fault] => fault.to_string(),
        faults => format!("{} faults in {}", faults.len(), places(faults)),
    }
}

fn remedy(faults: &[Fault]) -> String {
    match faults {
        [fault] => fault.help().map(|help| help.to_string()).unwrap_or_default(),
        _ => "correct each fault; until then no setting has an effect".to_owned(),
    }
}

/// Lists the places of the faults, each place once.
fn places(faults: &[Fault]) -> String {
    let mut places = Vec::new();
    for fault in faults {
        let place = fault.origin.to_string();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places.join(", ")
}
