//! Mends malformed statuses of a peer.

use std::mem;

use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};
use tonic::metadata::MetadataMap;

/// Mends a status in the headers or trailers of a response that tonic cannot read. Details that are not base64, at
/// which tonic panics, are removed. Invalid bytes in a message that is not UTF-8, for which tonic loses the code, are
/// replaced.
pub(super) fn mend_status(headers: &mut HeaderMap) {
    if headers.contains_key(STATUS_DETAILS) {
        drop_malformed_details(headers);
    }
    if let Some(message) = headers.get(STATUS_MESSAGE)
        && let Some(readable) = readable(message)
    {
        headers.insert(STATUS_MESSAGE, readable);
    }
}

/// Returns the message of a status with replacement characters, if the message is not UTF-8.
///
/// # Protocol
/// gRPC `PROTOCOL-HTTP2.md`, "Status-Message": a value that cannot be decoded must not be an error.
fn readable(message: &HeaderValue) -> Option<HeaderValue> {
    let decoded = percent_decode(message.as_bytes());
    if decoded.clone().decode_utf8().is_ok() {
        return None;
    }
    let text = decoded.decode_utf8_lossy();
    HeaderValue::try_from(percent_encode(text.as_bytes(), MESSAGE).to_string()).ok()
}

/// The ASCII characters that are percent-encoded in a message.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// The header with the message of a status.
const STATUS_MESSAGE: &str = "grpc-message";

/// Removes details that are not base64.
fn drop_malformed_details(headers: &mut HeaderMap) {
    // Decoded as tonic will decode them.
    let metadata = MetadataMap::from_headers(mem::take(headers));
    let readable = metadata.get_bin(STATUS_DETAILS).is_some_and(|details| details.to_bytes().is_ok());
    *headers = metadata.into_headers();
    if !readable {
        headers.remove(STATUS_DETAILS);
        tracing::debug!("the details of the peer's status are malformed and were removed");
    }
}

/// The header with the details of a status.
const STATUS_DETAILS: &str = "grpc-status-details-bin";

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn only_malformed_details_are_removed() {
        for (details, stays) in [
            ("", true),
            ("aGVsbG8", true),
            ("aGVsbG8=", true),
            ("aGVsbG8!", false),
            ("a", false),
            ("%%%", false),
            ("aGVs,bG8=", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", "3".parse().expect("a value"));
            headers.insert(STATUS_DETAILS, details.parse().expect("a value"));
            mend_status(&mut headers);
            assert_eq!(headers.contains_key(STATUS_DETAILS), stays, "{details}");
            let status = Status::from_header_map(&headers).expect("a status");
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
        }
    }

    #[test]
    fn a_message_that_is_not_utf_8_keeps_the_code() {
        for (message, read) in [
            (&b"all well"[..], "all well"),
            (b"50%25 of it", "50% of it"),
            (b"%zz", "%zz"),
            (b"%", "%"),
            (b"%c3%a9", "é"),
            (b"bad %ff%fe end", "bad \u{fffd}\u{fffd} end"),
            (b"raw \xff end", "raw \u{fffd} end"),
            (b"raw \xc3\xa9", "raw é"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", "5".parse().expect("a value"));
            headers.insert(STATUS_MESSAGE, HeaderValue::from_bytes(message).expect("a value"));
            mend_status(&mut headers);
            let status = Status::from_header_map(&headers).expect("a status");
            assert_eq!((status.code(), status.message()), (tonic::Code::NotFound, read), "{message:?}");
        }
    }
}
