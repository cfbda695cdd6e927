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
            .or_else(|| googles_own()?.get_message_by_name(name))
    }
}

/// Google's types for error details, which most libraries use.
fn googles_own() -> Option<&'static DescriptorPool> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    let compile = || {
        let mut resolver = protox::file::ChainFileResolver::new();
        resolver.add(protox::file::GoogleFileResolver::new());
        resolver.add(ErrorDetails);
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).open_file(ERROR_DETAILS).ok()?;
        Some(compiler.descriptor_pool())
    };
    POOL.get_or_init(compile).as_ref()
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

    #[test]
    fn all_of_googles_types_are_described() {
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
