//! The handshake line of the plugin, and the line for the host.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rpcplugin::{
    Endpoint,
    handshake::{HandshakeLine, HandshakeLineError, HandshakeLineFault, Multiplexing},
    tls::{Identity, MutualTls, PeerCertificate, Trust},
    transport::Security,
};

use super::{context::TwoSided, event::SecurityKind};

/// What this program needs for the line of the host.
#[derive(Debug)]
pub(super) struct ForHost {
    /// Where this program listens.
    pub(super) endpoint: Endpoint,
    /// Whether the host requests multiplexing.
    pub(super) multiplex: bool,
    /// Present if the host requests AutoMTLS.
    pub(super) identities: Option<Identities>,
    /// The certificates for a plugin with its own certificates.
    pub(super) given: Option<TwoSided>,
}

/// The certificates of AutoMTLS.
#[derive(Debug)]
pub(super) struct Identities {
    /// The certificate of the host.
    pub(super) of_host: PeerCertificate,
    /// The identity towards the host.
    pub(super) for_host: Identity,
    /// The identity towards the plugin.
    pub(super) for_plugin: Identity,
}

/// What the plugin has announced.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) version: u32,
    pub(super) endpoint: Endpoint,
    pub(super) multiplexed: bool,
    pub(super) security: TwoSided,
    pub(super) kind: SecurityKind,
}

/// Reads a line of the plugin. Returns `None` if it is not a handshake line that this program can stand behind: the host judges it.
///
/// # Errors
/// The error of a plugin that uses net/rpc.
pub(super) fn announced(
    line: &[u8],
    for_host: &ForHost,
) -> Option<Result<(Announced, String), HandshakeLineError>> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let parsed = match HandshakeLine::parse(text) {
        Ok(parsed) => parsed,
        Err(error) if matches!(error.fault, HandshakeLineFault::NetRpc) => return Some(Err(error)),
        Err(_) => return None,
    };
    let mut fields: Vec<&str> = text.split('|').collect();
    let (network, address) = (for_host.endpoint.network(), for_host.endpoint.address());
    let certificate;
    let (security, kind) = match (&for_host.identities, &parsed.certificate, &for_host.given) {
        (Some(identities), Some(der), _) => {
            certificate = STANDARD_NO_PAD.encode(identities.for_host.certificate_der());
            if let Some(field) = fields.get_mut(5) {
                *field = &certificate;
            }
            (mutual(identities, der)?, SecurityKind::AutoMtls)
        }
        (_, None, Some(given)) => (given.clone(), SecurityKind::Given),
        // No certificates, or those of the plugin, or a host that will refuse the plugin: the bytes pass as they are.
        _ => (TwoSided { host: Security::Plain, plugin: Security::Plain }, SecurityKind::Plain),
    };
    *fields.get_mut(2)? = network;
    *fields.get_mut(3)? = &address;
    let announced = Announced {
        version: parsed.version.0,
        endpoint: parsed.endpoint,
        multiplexed: for_host.multiplex && parsed.multiplexing == Multiplexing::Yes,
        security,
        kind,
    };
    Some(Ok((announced, fields.join("|") + "\n")))
}

/// Returns the security of AutoMTLS. `None` if the plugin's certificate is invalid.
fn mutual(identities: &Identities, certificate: &[u8]) -> Option<TwoSided> {
    let plugin = PeerCertificate::from_der(certificate).ok()?;
    let between = |own: &Identity, peer: &PeerCertificate| {
        MutualTls::new(own.clone(), Trust::Pinned(peer.clone())).ok().map(Security::Mutual)
    };
    Some(TwoSided {
        host: between(&identities.for_host, &identities.of_host)?,
        plugin: between(&identities.for_plugin, &plugin)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_host(identities: bool) -> ForHost {
        let identity = || Identity::generate().unwrap();
        ForHost {
            endpoint: Endpoint::parse("unix", "/tmp/x/1").unwrap(),
            multiplex: true,
            given: None,
            identities: identities.then(|| Identities {
                of_host: identity().peer_certificate(),
                for_host: identity(),
                for_plugin: identity(),
            }),
        }
    }

    #[test]
    fn address_and_certificate_are_replaced_and_nothing_else() {
        let without = for_host(false);
        for (line, expected, multiplexed) in [
            ("1|5|unix|/tmp/plugin1|grpc|\n", "1|5|unix|/tmp/x/1|grpc|\n", false),
            ("1|5|tcp|127.0.0.1:1234|grpc||true|x\r\n", "1|5|unix|/tmp/x/1|grpc||true|x\n", true),
            ("1|+5|unix|/tmp/plugin1|grpc\n", "1|+5|unix|/tmp/x/1|grpc\n", false),
        ] {
            let (announced, line) = announced(line.as_bytes(), &without).unwrap().unwrap();
            assert_eq!((line.as_str(), announced.multiplexed, announced.version), (expected, multiplexed, 5));
        }
        let with = for_host(true);
        let plugin = Identity::generate().unwrap();
        let line = format!("1|5|unix|/tmp/p|grpc|{}|", STANDARD_NO_PAD.encode(plugin.certificate_der()));
        let (announced, line) = announced(line.as_bytes(), &with).unwrap().unwrap();
        let own = with.identities.unwrap().for_host;
        assert_eq!(
            line,
            format!("1|5|unix|/tmp/x/1|grpc|{}|\n", STANDARD_NO_PAD.encode(own.certificate_der()))
        );
        assert!(announced.security.host.is_mutual() && announced.security.plugin.is_mutual());
    }

    #[test]
    fn a_plugin_of_net_rpc_is_refused_and_other_lines_are_the_hosts_affair() {
        let host = for_host(false);
        assert!(matches!(announced(b"1|5|unix|/tmp/p|netrpc|\n", &host), Some(Err(_))));
        for line in [&b"hello\n"[..], b"2|5|unix|/tmp/p|grpc|\n", b"1|x|unix|/tmp/p|grpc|\n", b"\xff|"] {
            assert!(announced(line, &host).is_none());
        }
    }
}
