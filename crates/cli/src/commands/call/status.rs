//! The status of a failed call, with its details.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::protojson::{self, Types};

/// Returns the name of a code in gRPC's documentation.
pub(super) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Returns the details as JSON, with their types in `@type`. Details of an unknown type have their bytes in base64.
pub(super) fn details(status: &Status, pool: &DescriptorPool) -> Vec<Value> {
    if status.details().is_empty() {
        return Vec::new();
    }
    match tonic_types::Status::decode(status.details()) {
        Ok(status) => {
            let types = Types::new(pool);
            status.details.iter().map(|any| protojson::any(&any.type_url, &any.value, &types)).collect()
        }
        Err(_) => vec![json!({ "value": STANDARD.encode(status.details()) })],
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Any;

    use super::*;

    /// A string in field 1.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Text {
        #[prost(string, tag = "1")]
        text: String,
    }

    fn any(name: &str) -> Any {
        let value = Text { text: "why".to_owned() }.encode_to_vec();
        Any { type_url: format!("type.googleapis.com/{name}"), value }
    }

    #[test]
    fn details_of_unknown_types_keep_their_bytes() {
        let details = vec![any("google.rpc.ErrorInfo"), any("not.Described")];
        let bytes = tonic_types::Status { details, ..Default::default() }.encode_to_vec();
        let status = Status::with_details(Code::Internal, "m", bytes.into());
        let pool = DescriptorPool::global();
        assert_eq!(
            super::details(&status, &pool),
            [
                json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "why" }),
                json!({ "@type": "type.googleapis.com/not.Described", "value": "CgN3aHk=" }),
            ]
        );
        assert!(super::details(&Status::internal("m"), &pool).is_empty());
    }
}
