//! The addresses of a bridge: where it listens, and what it announces to its host.

use std::net::{IpAddr, SocketAddr};

use rpcplugin::Endpoint;

/// Where to listen: an IP address, and a port if one is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListenAddress {
    pub(super) ip: IpAddr,
    pub(super) port: Option<u16>,
}

/// The address that hosts connect to: a host, and a port if one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnnouncedAddress {
    /// An IP address or a name. An IPv6 address has brackets.
    host: String,
    port: Option<u16>,
}

/// Parses `IP` or `IP:PORT`. An IPv6 address before a port has brackets.
pub(super) fn listen_address(text: &str) -> Result<ListenAddress, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(ListenAddress { ip: address.ip(), port: Some(address.port()) });
    }
    match without_brackets(text).parse() {
        Ok(ip) => Ok(ListenAddress { ip, port: None }),
        Err(_) => {
            Err("write an IP address, with or without a port, such as 0.0.0.0:7400 or [::]:7400".to_owned())
        }
    }
}

/// Parses `HOST` or `HOST:PORT`. An IPv6 address before a port has brackets.
pub(super) fn announced_address(text: &str) -> Result<AnnouncedAddress, String> {
    let host = match without_brackets(text).parse() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => text.to_owned(),
    };
    if !host.is_empty() && is_endpoint(&format!("{host}:1")) {
        return Ok(AnnouncedAddress { host, port: None });
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && is_endpoint(text) => {
            Ok(AnnouncedAddress { host: host.to_owned(), port: port.parse().ok() })
        }
        _ => Err(
            "write an IP address or a name, with or without a port, such as 10.0.0.7 or plugin.example:7400"
                .to_owned(),
        ),
    }
}

impl AnnouncedAddress {
    /// Returns the address for the handshake line of a bridge that listens on this port.
    pub(super) fn with_port(&self, listening: u16) -> String {
        format!("{}:{}", self.host, self.port.unwrap_or(listening))
    }
}

fn is_endpoint(address: &str) -> bool {
    Endpoint::parse("tcp", address).is_ok()
}

/// Returns the inner part of `[…]`, or the text itself.
fn without_brackets(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_listens_on_an_ip_address_with_or_without_a_port() {
        for (text, ip, port) in [
            ("127.0.0.1", "127.0.0.1", None),
            ("0.0.0.0:7400", "0.0.0.0", Some(7400)),
            ("127.0.0.1:0", "127.0.0.1", Some(0)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::]:7400", "::", Some(7400)),
        ] {
            let expected = ListenAddress { ip: ip.parse().unwrap(), port };
            assert_eq!(listen_address(text), Ok(expected), "{text}");
        }
        for wrong in ["", "localhost", "127.0.0.1:", "127.0.0.1:65536", "[::1", "7400", ":7400"] {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_announced_address_gets_the_port_that_it_lacks() {
        for (text, announced) in [
            ("10.0.0.7", "10.0.0.7:1234"),
            ("10.0.0.7:7400", "10.0.0.7:7400"),
            ("plugin.example", "plugin.example:1234"),
            ("plugin.example:7400", "plugin.example:7400"),
            ("fd00::7", "[fd00::7]:1234"),
            ("[fd00::7]", "[fd00::7]:1234"),
            ("[fd00::7]:7400", "[fd00::7]:7400"),
        ] {
            let address = announced_address(text).map(|address| address.with_port(1234));
            assert_eq!(address.as_deref(), Ok(announced), "{text}");
        }
        for wrong in ["", ":7400", "10.0.0.7:", "10.0.0.7:0", "a b", "a|b", "[::1"] {
            assert!(announced_address(wrong).is_err(), "{wrong}");
        }
    }
}
