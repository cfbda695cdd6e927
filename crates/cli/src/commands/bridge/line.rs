//! The handshake line of the plugin, with another address.

use rpcplugin::Endpoint;

/// A handshake line, rewritten for the host of the bridge.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// Where the plugin listens.
    pub(super) endpoint: Endpoint,
    /// The line for the host, with its line break.
    pub(super) line: String,
}

/// Replaces network and address of a handshake line. Returns `None` for any other line.
///
/// Every other field stays as it is: a plugin that a host refuses is refused through a bridge for the same reason.
pub(super) fn rewrite(line: &[u8], address: &str) -> Option<Rewritten> {
    let mut fields = std::str::from_utf8(line).ok()?.trim().splitn(5, '|');
    let [core, version, network, at] = [fields.next()?, fields.next()?, fields.next()?, fields.next()?];
    let is_number = |text: &str| text.parse::<i64>().is_ok();
    if !is_number(core) || !is_number(version) {
        return None;
    }
    let endpoint = Endpoint::parse(network, at).ok()?;
    let rest = fields.next().map(|rest| format!("|{rest}")).unwrap_or_default();
    Some(Rewritten { endpoint, line: format!("{core}|{version}|tcp|{address}{rest}\n") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_and_address_are_replaced_and_nothing_else() {
        for (line, expected) in [
            ("1|5|unix|/tmp/plugin1|grpc|\n", "1|5|tcp|10.0.0.7:7400|grpc|\n"),
            ("1|3|unix|/tmp/plugin1|grpc||true\r\n", "1|3|tcp|10.0.0.7:7400|grpc||true\n"),
            (
                "1|1|tcp|127.0.0.1:1234|grpc|MIIC+/x|true|more",
                "1|1|tcp|10.0.0.7:7400|grpc|MIIC+/x|true|more\n",
            ),
            // A host refuses these by name.
            ("1|4|unix|/tmp/plugin1|netrpc|\n", "1|4|tcp|10.0.0.7:7400|netrpc|\n"),
            ("2|+4|unix|/tmp/plugin1\n", "2|+4|tcp|10.0.0.7:7400\n"),
        ] {
            let rewritten = rewrite(line.as_bytes(), "10.0.0.7:7400").map(|rewritten| rewritten.line);
            assert_eq!(rewritten.as_deref(), Some(expected), "{line:?}");
        }
        let plugin =
            rewrite(b"1|5|unix|/tmp/plugin1|grpc|\n", "10.0.0.7:7400").map(|rewritten| rewritten.endpoint);
        assert_eq!(plugin, Endpoint::parse("unix", "/tmp/plugin1").ok());
    }

    #[test]
    fn other_lines_are_left_alone() {
        for line in [
            &b"\n"[..],
            b"starting up\n",
            b"a|table|of|four columns\n",
            b"1|1|unix|\n",
            b"1|1|pipe|/tmp/plugin1|grpc|\n",
            b"1|1|tcp|no port|grpc|\n",
            b"1|1|unix|/tmp/\xff|grpc|\n",
        ] {
            assert_eq!(rewrite(line, "10.0.0.7:7400"), None, "{line:?}");
        }
    }
}
