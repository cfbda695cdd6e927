//! The types of messages in an `Any`.

use std::sync::OnceLock;

use prost_reflect::{DescriptorPool, MessageDescriptor};

/// The types that an `Any` can have: those of a pool, the well-known types, and Google's types for error details.
#[derive(Debug, Clone)]
pub(crate) struct Types(DescriptorPool);

impl Types {
    pub(crate) fn new(pool: &DescriptorPool) -> Self {
        Self(pool.clone())
    }

    /// Returns the type that an `Any` names, with or without a prefix that ends with `/`.
    pub(super) fn by_url(&self, url: &str) -> Option<MessageDescriptor> {
        let name = url.rsplit('/').next().filter(|name| !name.starts_with('.'))?;
        self.0
            .get_message_by_name(name)
            .or_else(|| DescriptorPool::global().get_message_by_name(name))
            .or_else(|| error_details()?.get_message_by_name(name))
    }
}

/// Google's types for error details, which most libraries use.
fn error_details() -> Option<&'static DescriptorPool> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET).ok()).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_error_details_are_known() {
        let types = Types::new(&DescriptorPool::new());
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
            assert!(types.by_url(&format!("type.googleapis.com/google.rpc.{name}")).is_some(), "{name}");
        }
        assert!(types.by_url("google.protobuf.Duration").is_some());
        assert!(
            types.by_url("x/unheard.Of").is_none() && types.by_url("x/.google.protobuf.Duration").is_none()
        );
    }
}
