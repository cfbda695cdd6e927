//! The status of a failed call, with its details.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use tonic::Status;

use crate::protojson::{self, Types};

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
        let status = Status::with_details(tonic::Code::Internal, "m", bytes.into());
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
