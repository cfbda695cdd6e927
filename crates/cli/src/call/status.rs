//! What the status of a failed call says, its details included.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use prost_types::Any;
use serde_json::{Value, json};
use tonic::{Code, Status};

/// `google.rpc.Status`, in which gRPC's libraries send details.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// The code as gRPC's documentation writes it.
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

/// The details as JSON, each with its type under `@type`. One of a type that nobody describes keeps its bytes in base64.
pub(super) fn details(status: &Status, pool: &DescriptorPool) -> Vec<Value> {
    if status.details().is_empty() {
        return Vec::new();
    }
    match RpcStatus::decode(status.details()) {
        Ok(status) => status.details.iter().map(|any| detail(any, pool)).collect(),
        Err(_) => vec![json!({ "value": STANDARD.encode(status.details()) })],
    }
}

fn detail(any: &Any, pool: &DescriptorPool) -> Value {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    let described = pool.get_message_by_name(name).or_else(|| googles_own()?.get_message_by_name(name));
    let decoded = described.and_then(|message| DynamicMessage::decode(message, any.value.as_slice()).ok());
    let mut members = serde_json::Map::from_iter([("@type".to_owned(), any.type_url.clone().into())]);
    match decoded.as_ref().map(super::as_json) {
        Some(Value::Object(fields)) => members.extend(fields),
        Some(other) => _ = members.insert("value".to_owned(), other),
        None => _ = members.insert("value".to_owned(), STANDARD.encode(&any.value).into()),
    }
    Value::Object(members)
}

/// The types that Google describes for details, and that most libraries use.
fn googles_own() -> Option<DescriptorPool> {
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(ErrorDetails);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(ERROR_DETAILS).ok()?;
    Some(compiler.descriptor_pool())
}

struct ErrorDetails;

impl protox::file::FileResolver for ErrorDetails {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        match name {
            ERROR_DETAILS => protox::file::File::from_source(name, include_str!("error_details.proto")),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

const ERROR_DETAILS: &str = "google/rpc/error_details.proto";

#[cfg(test)]
mod tests {
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
    fn decodes_what_is_described_and_keeps_the_rest() {
        let details = vec![any("google.rpc.ErrorInfo"), any("nobody.Knows")];
        let bytes = RpcStatus { details }.encode_to_vec();
        let status = Status::with_details(Code::Internal, "m", bytes.into());
        let pool = DescriptorPool::global();
        assert_eq!(
            super::details(&status, &pool),
            [
                json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "why" }),
                json!({ "@type": "type.googleapis.com/nobody.Knows", "value": "CgN3aHk=" }),
            ]
        );
        assert!(super::details(&Status::internal("m"), &pool).is_empty());
    }

    #[test]
    fn all_of_googles_types_are_described() {
        let pool = googles_own().unwrap();
        for name in [
            "ErrorInfo",
            "RetryInfo",
            "DebugInfo",
            "QuotaFailure",
            "PreconditionFailure",
            "BadRequest",
            "RequestInfo",
            "ResourceInfo",
            "Help",
            "LocalizedMessage",
        ] {
            assert!(pool.get_message_by_name(&format!("google.rpc.{name}")).is_some(), "{name}");
        }
    }
}
