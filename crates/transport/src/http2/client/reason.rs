//! HTTP/2 error codes: their names, and the gRPC codes for them.

use h2::Reason;
use tonic::Code;

use super::wire::WireError;

/// Prints an error with the name of its HTTP/2 error code.
pub(super) fn named(error: &WireError) -> String {
    match error.reason() {
        // A code that HTTP/2 does not define has no name.
        Some(reason) if reason.description() == UNKNOWN => format!("0x{:x}, {error}", u32::from(reason)),
        Some(reason) => format!("{reason:?}, {error}"),
        None => error.to_string(),
    }
}

/// The description that h2 has for a code that HTTP/2 does not define.
const UNKNOWN: &str = "unknown reason";

/// Returns the gRPC code for an HTTP/2 error code.
///
/// # Protocol
/// gRPC `PROTOCOL-HTTP2.md`, "Errors". For STREAM_CLOSED and HTTP_1_1_REQUIRED, which it leaves out, grpc-go's
/// `http2ErrConvTab`.
pub(super) fn code(reason: Reason) -> Code {
    match reason {
        Reason::NO_ERROR
        | Reason::PROTOCOL_ERROR
        | Reason::INTERNAL_ERROR
        | Reason::FLOW_CONTROL_ERROR
        | Reason::SETTINGS_TIMEOUT
        | Reason::STREAM_CLOSED
        | Reason::FRAME_SIZE_ERROR
        | Reason::COMPRESSION_ERROR
        | Reason::CONNECT_ERROR
        | Reason::HTTP_1_1_REQUIRED => Code::Internal,
        Reason::REFUSED_STREAM => Code::Unavailable,
        Reason::CANCEL => Code::Cancelled,
        Reason::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        Reason::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_http2_error_code_has_a_grpc_code() {
        let codes: Vec<_> = (0..=14).map(|reason| code(Reason::from(reason))).collect();
        use Code::{Cancelled, Internal, PermissionDenied, ResourceExhausted, Unavailable, Unknown};
        let expected = [
            Internal,
            Internal,
            Internal,
            Internal,
            Internal,
            Internal,
            Internal,
            Unavailable,
            Cancelled,
            Internal,
            Internal,
            ResourceExhausted,
            PermissionDenied,
            Internal,
            Unknown,
        ];
        assert_eq!(codes, expected);
    }
}
