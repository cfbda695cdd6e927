//! The parts of the kit's contract that hosts and plugins share.

use std::{error::Error, path::Path};

use bytes::Bytes;
use rpcplugin::{
    MagicCookie,
    config::{Pem, SecretPem},
};

/// The versions of the kit, which all have the same service.
pub const VERSIONS: [u32; 3] = [1, 2, 3];

/// The cookie of all conformance plugins and hosts.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "both are constants")]
pub fn cookie() -> MagicCookie {
    MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").expect("a key and a value")
}

/// The payload of `BigPayload`: byte i is `(i ^ (i >> 8) ^ seed) & 0xff`.
///
/// Only the low 16 bits of i matter, so the pattern repeats every 64 KiB.
pub(crate) fn pattern(n: usize, seed: u32) -> Bytes {
    let period: Vec<u8> = (0..1_u32 << 16).map(|i| (i ^ (i >> 8) ^ seed) as u8).collect();
    let mut data = Vec::with_capacity(n);
    while data.len() < n {
        let wanted = period.len().min(n - data.len());
        data.extend_from_slice(&period[..wanted]);
    }
    data.into()
}

/// The certificate, key and roots of one side.
pub(crate) struct TlsFiles {
    pub(crate) certificate: Pem,
    pub(crate) private_key: SecretPem,
    pub(crate) roots: Pem,
}

impl TlsFiles {
    /// The files of `name`, which is `host` or `plugin`, in `dir`.
    pub(crate) fn of(name: &str, dir: &Path) -> Self {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let file = |name: String| format!("file://{}", dir.join(name).display());
        Self {
            certificate: Pem::new(file(format!("{name}.pem"))),
            private_key: SecretPem::new(file(format!("{name}.key"))),
            roots: Pem::new(file("ca.pem".to_owned())),
        }
    }
}

/// The reversed bytes: the answer of `HostCalls.Transform`.
pub(crate) fn reversed(data: &[u8]) -> Bytes {
    data.iter().rev().copied().collect::<Vec<_>>().into()
}

/// An error and its causes, in one line.
pub(crate) fn in_one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // tonic repeats the text of the cause.
        if !line.contains(&cause_text) {
            line += ": ";
            line += &cause_text;
        }
        source = cause.source();
    }
    line
}

/// `google.rpc.Status`: the content of `grpc-status-details-bin`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<prost_types::Any>,
}

/// The type of the detail that `Fail` sends.
pub(crate) const FAIL_DETAIL: &str = "type.googleapis.com/conformance.v1.FailDetail";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_what_the_contract_says() {
        let data = pattern(200_000, 0x1234_565a);
        assert_eq!(data.len(), 200_000);
        for i in [0_usize, 1, 255, 256, 65_535, 65_536, 131_073, 199_999] {
            assert_eq!(data[i], ((i ^ (i >> 8) ^ 0x5a) & 0xff) as u8, "{i}");
        }
    }
}
