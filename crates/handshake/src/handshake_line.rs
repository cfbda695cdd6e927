//! The handshake line, which a plugin prints on stdout.

use std::fmt;

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use miette::{Diagnostic, SourceSpan};
use rpcplugin_core::{AppVersion, CORE_PROTOCOL_VERSION, Endpoint, EndpointError, disturbs};

use crate::go_strconv;

/// The handshake line of a plugin.
///
/// [`Display`](fmt::Display) writes the line without its line break.
///
/// # Protocol
/// `CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERTIFICATE|MULTIPLEX`. Four to seven fields are read. Further fields are ignored, as in
/// go-plugin. Six fields are written, or seven if the host requested multiplexing: hosts before v1.6.0 take the seventh field for a
/// part of the certificate. The eighth field is this library's own, `laneVERSION`. It is written only for a host of this library that
/// asked for it. The seventh is empty then if the host did not request multiplexing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeLine {
    /// The version of the application's protocol that the plugin serves.
    pub version: AppVersion,
    /// The endpoint on which the plugin listens.
    pub endpoint: Endpoint,
    /// The plugin's certificate as DER.
    pub certificate: Option<Vec<u8>>,
    /// Whether brokered connections share the main connection's socket.
    pub multiplexing: Multiplexing,
    /// The version of the lane that the plugin accepts beside HTTP/2. A plugin announces it only to a host that has
    /// [offered](crate::LaneOffer) it.
    pub lane: Option<u32>,
}

/// The seventh field of a handshake line: whether the plugin multiplexes brokered connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Multiplexing {
    /// The field is missing: the host did not request multiplexing, or the plugin does not know the field.
    #[default]
    Unspecified,
    /// The plugin multiplexes.
    Yes,
    /// The plugin does not multiplex.
    No,
    /// The field is invalid. It matters only to a host that requested multiplexing.
    Unreadable,
}

/// A handshake line that this host does not accept. A report shows the line and underlines the faulty field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeLineError {
    /// The fault.
    pub fault: HandshakeLineFault,
    /// The line, shortened and without characters that affect a terminal.
    line: String,
    /// The beginning of the line, as messages quote it.
    quoted: Box<str>,
    span: SourceSpan,
    endpoint: Option<Endpoint>,
}

/// The faults of a handshake line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum HandshakeLineFault {
    /// The line has fewer than four fields.
    #[error("the plugin printed other text in place of its handshake line")]
    #[diagnostic(
        code(rpcplugin::handshake::not_a_handshake_line),
        help(
            "check that the program is a plugin and prints nothing on stdout before its handshake line: logs and banners belong \
             on stderr"
        )
    )]
    NotAHandshakeLine,
    /// The first field is not the version of the handshake, which is 1.
    #[error("the plugin uses another version of the handshake")]
    #[diagnostic(
        code(rpcplugin::handshake::core_version),
        help("rebuild the plugin with a go-plugin library whose core protocol version is 1")
    )]
    CoreVersion,
    /// The line has the form of Packer's plugins: `MAJOR|MINOR|NETWORK|ADDRESS`, or without `MINOR` in older ones. Packer's plugins
    /// use a protocol of their own over net/rpc.
    #[error("the plugin is a plugin of Packer, which has another protocol than go-plugin")]
    #[diagnostic(
        code(rpcplugin::protocol::packer),
        help("launch the plugin with `packer`: its plugins do not use gRPC")
    )]
    Packer,
    /// The second field is not a version.
    #[error("the plugin's protocol version is not a number")]
    #[diagnostic(
        code(rpcplugin::handshake::version_unreadable),
        help("correct the plugin: print the negotiated version as a plain number")
    )]
    Version,
    /// The third and fourth field are not an endpoint.
    #[error("the plugin announced an invalid address")]
    #[diagnostic(
        code(rpcplugin::handshake::address_invalid),
        help("correct the plugin: announce `unix|PATH` or `tcp|HOST:PORT`")
    )]
    Address(#[source] EndpointError),
    /// The fifth field is `netrpc`, or it is missing, which means the same.
    #[error("the plugin uses net/rpc and not gRPC")]
    #[diagnostic(
        code(rpcplugin::protocol::net_rpc),
        help("rebuild the plugin with a gRPC server; net/rpc is not supported")
    )]
    NetRpc,
    /// The fifth field is an unknown protocol.
    #[error("the plugin uses an unknown protocol")]
    #[diagnostic(
        code(rpcplugin::protocol::unknown_protocol),
        help("correct the plugin: the fifth field of the handshake line must be `grpc`")
    )]
    UnknownProtocol,
    /// The sixth field is not a certificate in base64.
    #[error("the plugin's certificate cannot be decoded")]
    #[diagnostic(
        code(rpcplugin::security::certificate_unreadable),
        help("correct the plugin: the sixth field must be the certificate's DER in standard base64")
    )]
    Certificate,
}

impl HandshakeLine {
    /// Parses the line of a plugin, with or without its line break and surrounding blanks.
    ///
    /// # Errors
    /// [`HandshakeLineError`], which underlines the faulty field.
    pub fn parse(line: &str) -> Result<Self, HandshakeLineError> {
        let line = line.trim();
        let fields: Vec<&str> = line.split('|').collect();
        read_fields(&fields).map_err(|(fault, first, last)| HandshakeLineError::new(fault, line, first, last))
    }
}

fn read_fields(fields: &[&str]) -> Result<HandshakeLine, (HandshakeLineFault, usize, usize)> {
    let [core, version, network, address, rest @ ..] = fields else {
        return Err(match fields {
            [core, "unix" | "tcp", _] if is_another_version(core) => (HandshakeLineFault::Packer, 0, 0),
            _ => (HandshakeLineFault::NotAHandshakeLine, 0, fields.len()),
        });
    };
    if go_strconv::integer(core) != Some(CORE_PROTOCOL_VERSION.into()) {
        // Text with enough bars may still be other output. Only a number in front is the sign of a handshake line.
        let fault = match go_strconv::integer(core) {
            None => HandshakeLineFault::NotAHandshakeLine,
            Some(_) if rest.is_empty() && matches!(*network, "unix" | "tcp") => HandshakeLineFault::Packer,
            Some(_) => HandshakeLineFault::CoreVersion,
        };
        return Err((fault, 0, 0));
    }
    let version = go_strconv::integer(version).and_then(|number| u32::try_from(number).ok()).ok_or((
        HandshakeLineFault::Version,
        1,
        1,
    ))?;
    match rest.first() {
        Some(&"grpc") => {}
        Some(&"netrpc") => return Err((HandshakeLineFault::NetRpc, 4, 4)),
        None => return Err((HandshakeLineFault::NetRpc, 0, 3)),
        Some(_) => return Err((HandshakeLineFault::UnknownProtocol, 4, 4)),
    }
    let endpoint = Endpoint::parse(network, address).map_err(|error| {
        let field = if matches!(error, EndpointError::UnknownNetwork { .. }) { 2 } else { 3 };
        (HandshakeLineFault::Address(error), field, field)
    })?;
    let certificate = match rest.get(1) {
        // Before v1.0 of go-plugin the sixth field could be other, short text. Padding does not count, because it is not printed.
        Some(text) if text.trim_end_matches('=').len() > SHORTEST_CERTIFICATE => {
            Some(BASE64.decode(text).map_err(|_| (HandshakeLineFault::Certificate, 5, 5))?)
        }
        _ => None,
    };
    let lane = rest.get(3).and_then(|text| text.strip_prefix(LANE)?.parse().ok());
    let multiplexing = rest.get(2).filter(|text| lane.is_none() || !text.is_empty());
    let multiplexing = match multiplexing.map(|text| go_strconv::boolean(text)) {
        None => Multiplexing::Unspecified,
        Some(Some(true)) => Multiplexing::Yes,
        Some(Some(false)) => Multiplexing::No,
        Some(None) => Multiplexing::Unreadable,
    };
    Ok(HandshakeLine { version: AppVersion(version), endpoint, certificate, multiplexing, lane })
}

/// Whether the first field is a number, and not the version of this handshake.
fn is_another_version(core: &str) -> bool {
    go_strconv::integer(core).is_some_and(|number| number != i64::from(CORE_PROTOCOL_VERSION))
}

impl fmt::Display for HandshakeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (network, address) = (self.endpoint.network(), self.endpoint.address());
        write!(f, "{CORE_PROTOCOL_VERSION}|{}|{network}|{address}|grpc|", self.version)?;
        if let Some(certificate) = &self.certificate {
            f.write_str(&BASE64.encode(certificate))?;
        }
        match self.multiplexing {
            Multiplexing::Yes => f.write_str("|true")?,
            Multiplexing::No => f.write_str("|false")?,
            // Any text that Go cannot read as a boolean.
            Multiplexing::Unreadable => f.write_str("|unreadable")?,
            Multiplexing::Unspecified if self.lane.is_some() => f.write_str("|")?,
            Multiplexing::Unspecified => {}
        }
        match self.lane {
            Some(version) => write!(f, "|{LANE}{version}"),
            None => Ok(()),
        }
    }
}

impl HandshakeLineError {
    fn new(fault: HandshakeLineFault, line: &str, first: usize, last: usize) -> Self {
        // Each character is replaced by one character, so that the fields keep their places.
        let shown: String = line
            .chars()
            .take(LONGEST_QUOTE)
            .map(|c| if c == '\t' || disturbs(c) { char::REPLACEMENT_CHARACTER } else { c })
            .collect();
        let start = nth_field_start(&shown, first);
        let end = nth_field_start(&shown, last + 1).saturating_sub(1).max(start);
        let end = if last + 1 >= shown.split('|').count() { shown.len() } else { end };
        let mut address = line.split('|').skip(2);
        let endpoint = match (address.next(), address.next()) {
            (Some(network), Some(address)) => Endpoint::parse(network, address).ok(),
            _ => None,
        };
        Self { fault, span: (start, end - start).into(), line: shown, quoted: quoted(line).into(), endpoint }
    }

    /// The endpoint in the line, if the line has a valid endpoint. The plugin may have left a socket there.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// The line of the plugin, shortened and without characters that affect a terminal.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }
}

/// The fault, and the start of the line in quotation marks. Characters that affect a terminal are escaped.
impl fmt::Display for HandshakeLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault, self.quoted)
    }
}

impl std::error::Error for HandshakeLineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.fault)
    }
}

impl Diagnostic for HandshakeLineError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.fault.code()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.fault.help()
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.line)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let label = match self.fault {
            HandshakeLineFault::NotAHandshakeLine => "not a handshake line",
            HandshakeLineFault::CoreVersion => "only 1 is supported",
            HandshakeLineFault::Packer => "the version of Packer's protocol",
            HandshakeLineFault::Version => "not a version",
            HandshakeLineFault::Address(_) => "not an address",
            HandshakeLineFault::NetRpc => "not a gRPC plugin",
            HandshakeLineFault::UnknownProtocol => "only `grpc` is supported",
            HandshakeLineFault::Certificate => "not a certificate",
        };
        let label = miette::LabeledSpan::new_with_span(Some(label.to_owned()), self.span);
        Some(Box::new(std::iter::once(label)))
    }
}

/// Puts the start of a line in quotation marks. Quotation marks inside are not escaped.
fn quoted(line: &str) -> String {
    let mut quoted = String::from('"');
    for c in line.chars().take(LONGEST_IN_MESSAGE) {
        match c {
            '"' | '\'' | '\\' => quoted.push(c),
            c => quoted.extend(c.escape_debug()),
        }
    }
    quoted.push_str(if line.chars().nth(LONGEST_IN_MESSAGE).is_some() { "…\"" } else { "\"" });
    quoted
}

/// The offset of the `n`th field, or the length of the line if it has fewer fields.
fn nth_field_start(line: &str, n: usize) -> usize {
    line.split('|').take(n).map(|field| field.len() + 1).sum::<usize>().min(line.len())
}

/// go-plugin takes the sixth field for a certificate only if it is longer than this.
const SHORTEST_CERTIFICATE: usize = 50;

/// How many characters of a line a report shows.
const LONGEST_QUOTE: usize = 200;

/// How many characters of a line a message shows.
const LONGEST_IN_MESSAGE: usize = 100;

/// What stands before the version of the lane.
const LANE: &str = "lane";

/// Encodes without padding, because Go's decoder refuses it. Decodes with and without padding, because other implementations pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn parsed(line: &str) -> HandshakeLine {
        HandshakeLine::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[track_caller]
    fn fault(line: &str) -> (HandshakeLineFault, String) {
        let error = HandshakeLine::parse(line).expect_err(line);
        let (start, length) = (error.span.offset(), error.span.len());
        (error.fault.clone(), error.line()[start..start + length].to_owned())
    }

    #[test]
    fn every_form_of_the_line_is_parsed() {
        let plain = parsed("1|3|unix|/tmp/plugin2654984751|grpc|");
        assert_eq!(plain.version, AppVersion(3));
        assert_eq!(plain.endpoint.to_string(), "unix:/tmp/plugin2654984751");
        assert_eq!((&plain.certificate, plain.multiplexing), (&None, Multiplexing::Unspecified));
        assert_eq!(parsed("1|3|unix|/tmp/plugin2654984751|grpc"), plain);
        assert_eq!(parsed("  01|+3|unix|/tmp/plugin2654984751|grpc|\r\n"), plain);
        assert_eq!(parsed("1|3|unix|/tmp/plugin2654984751|grpc|short extra text"), plain);
        assert_eq!(parsed("1|3|unix|/tmp/p|grpc||true|more|fields").multiplexing, Multiplexing::Yes);
        assert_eq!(parsed("1|3|unix|/tmp/p|grpc||true|more|fields").lane, None);
        let lane = parsed("1|3|unix|/tmp/p|grpc|||lane1");
        assert_eq!((lane.multiplexing, lane.lane), (Multiplexing::Unspecified, Some(1)));
        let both = parsed("1|3|unix|/tmp/p|grpc||true|lane2|more");
        assert_eq!((both.multiplexing, both.lane), (Multiplexing::Yes, Some(2)));
        assert_eq!(parsed("1|3|unix|/tmp/p|grpc||true|lane").lane, None);
        assert_eq!(parsed("1|3|unix|/tmp/p|grpc||0").multiplexing, Multiplexing::No);
        assert_eq!(parsed("1|3|unix|/tmp/p|grpc||maybe").multiplexing, Multiplexing::Unreadable);
        assert_eq!(parsed("1|1|tcp|127.0.0.1:1234|grpc").endpoint.to_string(), "tcp:127.0.0.1:1234");
    }

    #[test]
    fn a_certificate_is_decoded_with_and_without_padding() {
        let der: Vec<u8> = (0..100).collect();
        let unpadded = BASE64.encode(&der);
        assert!(!unpadded.contains('='));
        for text in [unpadded.clone(), format!("{unpadded}==")] {
            let line = parsed(&format!("1|1|unix|/p|grpc|{text}"));
            assert_eq!(line.certificate.as_deref(), Some(&*der));
        }
    }

    #[test]
    fn the_faulty_field_is_underlined() {
        assert_eq!(fault("hello"), (HandshakeLineFault::NotAHandshakeLine, "hello".into()));
        assert_eq!(fault(""), (HandshakeLineFault::NotAHandshakeLine, String::new()));
        assert_eq!(fault("a|b|c|d|e|f"), (HandshakeLineFault::NotAHandshakeLine, "a".into()));
        assert_eq!(fault("2|1|unix|/p|grpc|"), (HandshakeLineFault::CoreVersion, "2".into()));
        assert_eq!(fault("5|0|unix|/tmp/packer-plugin"), (HandshakeLineFault::Packer, "5".into()));
        // As the plugins in Packer 1.6.6 print it.
        assert_eq!(fault("5|unix|/tmp/packer-plugin"), (HandshakeLineFault::Packer, "5".into()));
        for other in ["1|unix|/tmp/plugin", "5|ready|/tmp/plugin", "x|unix|/tmp/plugin"] {
            assert_eq!(fault(other).0, HandshakeLineFault::NotAHandshakeLine, "{other}");
        }
        assert_eq!(fault("5|0|text|more"), (HandshakeLineFault::CoreVersion, "5".into()));
        assert_eq!(fault("1|x|unix|/p|grpc|"), (HandshakeLineFault::Version, "x".into()));
        assert_eq!(fault("1|-1|unix|/p|grpc|"), (HandshakeLineFault::Version, "-1".into()));
        assert_eq!(fault("1|1|unix|/p|netrpc"), (HandshakeLineFault::NetRpc, "netrpc".into()));
        assert_eq!(fault("1|1|unix|/p"), (HandshakeLineFault::NetRpc, "1|1|unix|/p".into()));
        assert_eq!(fault("1|1|unix|/p|http|"), (HandshakeLineFault::UnknownProtocol, "http".into()));
        assert_eq!(fault("1|1|pipe|/p|grpc|").1, "pipe");
        assert_eq!(fault("1|1|unix||grpc|").1, "");
        assert_eq!(fault("1|1|tcp|nowhere|grpc|").1, "nowhere");
        let junk = "!".repeat(60);
        assert_eq!(fault(&format!("1|1|unix|/p|grpc|{junk}")), (HandshakeLineFault::Certificate, junk));
    }

    #[test]
    fn a_sixth_field_of_up_to_50_characters_is_not_a_certificate() {
        let field = |length: usize| format!("1|1|unix|/p|grpc|{}=", "!".repeat(length));
        assert_eq!(parsed(&field(50)).certificate, None);
        assert_eq!(fault(&field(51)).0, HandshakeLineFault::Certificate);
    }

    #[test]
    fn an_error_has_the_endpoint_and_quotes_the_line() {
        let error = HandshakeLine::parse("1|4|unix|/s|netrpc").expect_err("net/rpc");
        assert_eq!(error.endpoint().map(ToString::to_string).as_deref(), Some("unix:/s"));
        assert_eq!(error.to_string(), r#"the plugin uses net/rpc and not gRPC: "1|4|unix|/s|netrpc""#);
        let error =
            HandshakeLine::parse(&format!("1|1|tcp|{}", "\u{7}".repeat(100))).expect_err("no address");
        assert_eq!(
            (error.endpoint(), std::error::Error::source(&error).map(ToString::to_string)),
            (None, None)
        );
        assert!(error.to_string().ends_with("\\u{7}…\""), "{error}");
        let error = HandshakeLine::parse("1|1|tcp|nowhere|grpc").expect_err("no address");
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some(r#""nowhere" is not a host and a port"#));
    }

    #[test]
    fn a_report_shows_the_line_and_the_help() {
        let error = HandshakeLine::parse("1|4|unix|/s|netrpc").expect_err("net/rpc");
        let report = format!("{:?}", miette::Report::new(error));
        for part in
            ["1|4|unix|/s|netrpc", "not a gRPC plugin", "rebuild the plugin", "rpcplugin::protocol::net_rpc"]
        {
            assert!(report.contains(part), "{part} is missing in\n{report}");
        }
    }

    #[test]
    fn a_long_hostile_line_is_shortened_and_escaped() {
        let line = format!("\u{1b}[31m{}", "x".repeat(100_000));
        let error = HandshakeLine::parse(&line).expect_err("rubbish");
        assert!(error.line().chars().count() <= LONGEST_QUOTE);
        assert!(!error.line().contains('\u{1b}'));
    }

    proptest! {
        #[test]
        fn a_printed_line_is_parsed_back(
            version in any::<u32>(),
            endpoint in prop_oneof![
                "/[a-z/]{1,80}".prop_map(|path| Endpoint::parse("unix", &path).expect("a path")),
                any::<std::net::SocketAddr>().prop_filter("a port", |a| a.port() != 0).prop_map(|address| {
                    Endpoint::from(std::net::SocketAddr::new(address.ip(), address.port()))
                }),
            ],
            certificate in prop::option::of(prop::collection::vec(any::<u8>(), 40..700)),
            multiplexing in prop_oneof![
                Just(Multiplexing::Unspecified), Just(Multiplexing::Yes), Just(Multiplexing::No),
                Just(Multiplexing::Unreadable)
            ],
            lane in prop::option::of(any::<u32>()),
        ) {
            let line = HandshakeLine { version: AppVersion(version), endpoint, certificate, multiplexing, lane };
            prop_assert_eq!(HandshakeLine::parse(&line.to_string()), Ok(line));
        }

        #[test]
        fn parsing_never_panics(line in "(1\\|1\\|(unix|tcp)\\|)?.{0,300}") {
            if let Err(error) = HandshakeLine::parse(&line) {
                let end = error.span.offset() + error.span.len();
                prop_assert!(error.line().get(error.span.offset()..end).is_some());
                let _ = format!("{:?}", miette::Report::new(error));
            }
        }
    }
}
