//! What is wrong with a configuration: all of it, each fault where it was made.

use std::{error::Error, fmt, io, ops::Range, path::PathBuf, sync::Arc, time::Duration};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use rpcplugin_core::{CookieError, EndpointError, PortRangeError};

use crate::{side::Side, value::Text};

/// A configuration that cannot be used, with every fault in it.
///
/// Each [`Fault`] is a related diagnostic: it underlines its place where it was made in a file.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the configuration of the {side} cannot be used: {}", summary(.faults))]
#[diagnostic(code(rpcplugin::config::invalid), help("{}", remedy(.faults)))]
pub struct ConfigError {
    side: Side,
    #[related]
    faults: Vec<Fault>,
}

/// One fault in a configuration: what it is, and where it was made.
#[derive(Debug)]
pub struct Fault {
    kind: FaultKind,
    origin: Origin,
    excerpt: Option<Excerpt>,
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line and the column in it, both counted from 1, if it is about one place in the file.
        position: Option<(usize, usize)>,
    },
    /// The environment variable of this name.
    Variable(String),
    /// The program itself.
    Code,
}

/// What can be wrong with a configuration.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum FaultKind {
    /// The configuration file cannot be read.
    #[error("the configuration file cannot be read")]
    #[diagnostic(
        code(rpcplugin::config::file_not_readable),
        help(
            "correct the path, which `PLUGIN_CONFIG_FILE` or the program gives, or let this user read the file"
        )
    )]
    FileNotReadable(#[source] io::Error),
    /// The configuration file is in a format that is not read.
    #[error("a configuration file cannot be {format}")]
    #[diagnostic(
        code(rpcplugin::config::file_format),
        help("write the settings as TOML, or as JSON in a file whose name ends in `.json`")
    )]
    FileFormat {
        /// The format.
        format: &'static str,
    },
    /// The configuration file is not TOML, or not JSON.
    #[error("the file is not {format}: {why}")]
    #[diagnostic(code(rpcplugin::config::syntax), help("correct the file at this place"))]
    Syntax {
        /// `TOML` or `JSON`.
        format: &'static str,
        /// What the parser stumbled over.
        why: String,
    },
    /// There is no setting of this name.
    #[error("there is no setting `{name}`")]
    #[diagnostic(code(rpcplugin::config::unknown_setting), help("{remedy}"))]
    UnknownSetting {
        /// The name as given.
        name: String,
        /// What to do, with the nearest name if there is one.
        remedy: String,
    },
    /// A value is none of those that its setting allows.
    #[error("{setting} cannot be {given}")]
    #[diagnostic(code(rpcplugin::config::not_allowed), help("give {allowed}"))]
    NotAllowed {
        /// The setting.
        setting: String,
        /// What was given, quoted and shortened, or what kind of thing it was.
        given: String,
        /// What may be given.
        allowed: String,
    },
    /// A value is too small or too large.
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
    /// A variable does not hold text.
    #[error("{setting} cannot be set to bytes that are not UTF-8")]
    #[diagnostic(code(rpcplugin::config::not_unicode), help("set the variable to plain text"))]
    NotUnicode {
        /// The setting.
        setting: String,
    },
    /// The file that holds a value cannot be read.
    #[error("{setting} is to be read from {}, which cannot be done", .path.display())]
    #[diagnostic(
        code(rpcplugin::config::value_file),
        help(
            "correct the path after `file://` (an absolute one has three slashes), or let this user read the file"
        )
    )]
    ValueFile {
        /// The setting.
        setting: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file that holds a value is empty.
    #[error("{setting} is to be read from {}, which is empty", .path.display())]
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
    /// A setting known to pyvider that could not do what its name says.
    #[error("`{name}` cannot be set to {given}: {reason}")]
    #[diagnostic(code(rpcplugin::config::without_effect), help("{remedy}"))]
    WithoutEffect {
        /// The variable or setting.
        name: String,
        /// What was given, quoted and shortened.
        given: String,
        /// Why it would have no effect.
        reason: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// There is a certificate without its private key, or the other way round.
    #[error("{given} is set without {missing}")]
    #[diagnostic(
        code(rpcplugin::config::incomplete_identity),
        help("set {missing} as well, or remove {given} to use a one-time identity")
    )]
    IncompleteIdentity {
        /// The setting that is there.
        given: &'static str,
        /// The one that is missing.
        missing: &'static str,
    },
    /// A plugin has a certificate, but no roots to verify hosts by.
    #[error("certificate is set without client_roots")]
    #[diagnostic(
        code(rpcplugin::config::certificate_without_roots),
        help("set client_roots as well: TLS that authenticates only the plugin is not supported")
    )]
    CertificateWithoutRoots,
    /// There are roots, but no TLS in which to use them.
    #[error("{setting} is set, but there is no TLS in which to use it")]
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
        help("set {missing} as well, or leave the cookie to the program")
    )]
    CookieIncomplete {
        /// The setting that is missing.
        missing: String,
    },
    /// The magic cookie is impossible.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cookie(CookieError),
    /// No socket can be made at the path.
    #[error(transparent)]
    #[diagnostic(transparent)]
    SocketPath(EndpointError),
    /// The lowest port lies above the highest.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Ports(PortRangeError),
    /// One setting has to be less than another, and is not.
    #[error("{less} ({}) is more than {more} ({})", .less_value.to_text(), .more_value.to_text())]
    #[diagnostic(code(rpcplugin::config::wrong_order), help("lower {less}, or raise {more}"))]
    WrongOrder {
        /// The setting that has to be less.
        less: String,
        /// Its value.
        less_value: Duration,
        /// The setting that has to be more.
        more: String,
        /// Its value.
        more_value: Duration,
    },
    /// Pings so frequent that plugins hang up.
    #[error("pings every {} are too frequent: plugins on gRPC or Go hang up on them", .interval.to_text())]
    #[diagnostic(
        code(rpcplugin::config::keepalive_too_frequent),
        help(
            "set keepalive.interval to 5m or more, or set keepalive.permitted to true if all plugins are known to \
             permit such pings"
        )
    )]
    KeepaliveTooFrequent {
        /// The interval.
        interval: Duration,
    },
}

impl ConfigError {
    /// `Ok` unless there are faults.
    pub(crate) fn from_faults(side: Side, faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self { side, faults }) }
    }

    /// The side whose configuration it is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// The faults, at least one.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl Fault {
    /// A fault without a place in a file.
    pub(crate) fn new(kind: FaultKind, origin: Origin) -> Self {
        Self { kind, origin, excerpt: None }
    }

    /// A fault at a place in a file.
    pub(crate) fn in_file(kind: FaultKind, origin: Origin, excerpt: Excerpt) -> Self {
        Self { kind, origin, excerpt: Some(excerpt) }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &FaultKind {
        &self.kind
    }

    /// Where it was made.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.kind) {
            // The fault is the variable itself, which need not be named twice.
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

/// A place in the text of a file, whose secrets are masked.
#[derive(Debug)]
pub(crate) struct Excerpt {
    pub(crate) text: NamedSource<Arc<str>>,
    pub(crate) span: Range<usize>,
}

/// A value as messages quote it: escaped, and not too long.
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
        _ => "correct each of them; until then no part of the configuration is in force".to_owned(),
    }
}

/// Where the faults are, each place once.
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
