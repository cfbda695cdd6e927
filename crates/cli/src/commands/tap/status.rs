//! How a call ended.

use std::borrow::Cow;

use tonic::Code;

use super::http2::{Header, value};
use crate::calls::code_name;

/// The status in trailers, or in the only headers of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CallStatus {
    /// The number and the name. `None` if the trailers have none.
    pub(super) code: Option<(i32, &'static str)>,
    pub(super) message: String,
    /// The length of the details in base64.
    pub(super) details: usize,
}

impl CallStatus {
    pub(super) fn of(trailers: &[Header]) -> Self {
        let code = value(trailers, "grpc-status").and_then(|code| code.parse::<i32>().ok());
        let details = trailers.iter().find(|header| header.name() == "grpc-status-details-bin");
        Self {
            code: code.map(|code| (code, code_name(Code::from_i32(code)))),
            message: value(trailers, "grpc-message").map(|text| decoded(&text)).unwrap_or_default(),
            details: details.map_or(0, Header::length),
        }
    }
}

/// Decodes the percent signs of a status message.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the name of an error of HTTP/2, as RFC 9113 writes it, section 7.
pub(super) fn http2_error(code: u32) -> Cow<'static, str> {
    let names = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let known = usize::try_from(code).ok().and_then(|code| names.get(code));
    known.map_or_else(|| format!("error {code}").into(), |name| (*name).into())
}

/// Whether the value of a header can be shown: it is one of the protocol.
pub(in crate::commands) fn is_public(name: &str) -> bool {
    matches!(
        name,
        ":method"
            | ":path"
            | ":scheme"
            | ":authority"
            | ":status"
            | "content-type"
            | "te"
            | "user-agent"
            | "grpc-status"
            | "grpc-message"
            | "grpc-timeout"
            | "grpc-encoding"
            | "grpc-accept-encoding"
            | "traceparent"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_status_are_decoded() {
        for (text, expected) in
            [("a%20b", "a b"), ("100%", "100%"), ("%zz", "%zz"), ("%C3%A4", "ä"), ("%", "%"), ("%+1", "%+1")]
        {
            assert_eq!(decoded(text), expected);
        }
    }
}
