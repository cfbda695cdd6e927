//! Which method is meant.

use prost_reflect::MethodDescriptor;
use tonic::codegen::http::uri::PathAndQuery;

use crate::schema::{self, Origin, Schema};

/// There is no method to call.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum MethodError {
    /// The plugin serves no reflection, and no files were given.
    #[error("the plugin does not tell what its methods are")]
    #[diagnostic(
        code(rpcplugin::protocol::methods_unknown),
        help("give its description: --proto FILE, or --descriptor-set FILE")
    )]
    NotDescribed,
    /// Nothing has that name.
    #[error("there is no method {wanted}")]
    #[diagnostic(code(rpcplugin::protocol::no_such_method))]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// What there is.
        #[help]
        help: String,
    },
    /// Several have that name.
    #[error("{wanted} can mean several methods")]
    #[diagnostic(code(rpcplugin::protocol::ambiguous_method))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// What it can mean.
        #[help]
        help: String,
    },
}

/// Finds a method by its whole name, or by the end of it.
pub(super) fn find(schema: &Schema, wanted: &str) -> Result<MethodDescriptor, MethodError> {
    let services = schema.services.iter().filter_map(|name| schema.service(name));
    let methods: Vec<MethodDescriptor> =
        services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    if methods.is_empty() && schema.origin == Origin::Nowhere {
        return Err(MethodError::NotDescribed);
    }
    let wanted_name = wanted.trim_start_matches('/').replace('/', ".");
    let mut found: Vec<&MethodDescriptor> = methods
        .iter()
        .filter(|method| {
            let rest = method.full_name().strip_suffix(wanted_name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
        .collect();
    if let Some(whole) = found.iter().find(|method| method.full_name() == wanted_name) {
        return Ok((*whole).clone());
    }
    // A name alone rather means a method of the application than one of gRPC's own.
    if found.iter().any(|method| !is_of_the_protocol(method)) {
        found.retain(|method| !is_of_the_protocol(method));
    }
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let help = suggestions(&wanted_name, &methods);
            Err(MethodError::NotFound { wanted: wanted.to_owned(), help })
        }
        several => {
            let names: Vec<String> = several.iter().map(|method| name(method)).collect();
            let help = format!("say which: {}", names.join(", "));
            Err(MethodError::Ambiguous { wanted: wanted.to_owned(), help })
        }
    }
}

/// The path under which gRPC knows the method.
pub(super) fn path(method: &MethodDescriptor) -> PathAndQuery {
    let path = format!("/{}", name(method));
    path.parse().expect("the names of a service and a method have letters, digits, dots and underscores")
}

/// `package.Service/Method`.
pub(super) fn name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn is_of_the_protocol(method: &MethodDescriptor) -> bool {
    schema::is_of_the_protocol(method.parent_service().full_name())
}

/// What may have been meant; and where nothing comes near, what there is.
fn suggestions(wanted: &str, methods: &[MethodDescriptor]) -> String {
    let wanted = wanted.to_lowercase();
    let mut near: Vec<(usize, &MethodDescriptor)> = methods
        .iter()
        .filter_map(|method| {
            let whole = method.full_name().to_lowercase();
            // As many words of the name as were given, from its end.
            let words: Vec<&str> = whole.rsplitn(wanted.matches('.').count() + 2, '.').collect();
            let end: Vec<&str> =
                words[..words.len().min(wanted.matches('.').count() + 1)].iter().rev().copied().collect();
            let distance = strsim::damerau_levenshtein(&wanted, &end.join("."));
            (distance <= wanted.len() / 3 + 1).then_some((distance, method))
        })
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    // What comes nearest, and what comes nearly as near.
    let nearest = near.first().map_or(0, |(distance, _)| *distance);
    near.retain(|(distance, _)| *distance <= nearest + 1);
    if !near.is_empty() {
        let names: Vec<String> = near.iter().take(3).map(|(_, method)| name(method)).collect();
        return format!("did you mean {}?", names.join(", or "));
    }
    let own = methods.iter().filter(|method| !is_of_the_protocol(method));
    let names: Vec<String> = own.take(MANY).map(name).collect();
    match names.as_slice() {
        [] => "it serves nothing but the protocol's own services".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    }
}

/// As many methods as are named when nothing comes near.
const MANY: usize = 30;

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    fn schema() -> Schema {
        let source = "syntax = \"proto3\"; package a.v1; message M {} \
            service Kit { rpc Echo(M) returns (M); rpc Put(M) returns (M); } service Other { rpc Put(M) returns (M); }";
        let dir = std::env::temp_dir().join(format!("rpcplugin-cli-method-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("a.proto");
        std::fs::write(&file, source).unwrap();
        let pool: DescriptorPool =
            DescriptorPool::from_file_descriptor_set(protox::compile([&file], [&dir]).unwrap()).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        let services = pool.services().map(|service| service.full_name().to_owned()).collect();
        Schema { origin: Origin::Files, services, pool }
    }

    #[test]
    fn finds_by_the_end_of_a_name_and_suggests() {
        let schema = schema();
        let found = |wanted: &str| find(&schema, wanted).map(|method| name(&method));
        for wanted in ["a.v1.Kit/Echo", "/a.v1.Kit/Echo", "a.v1.Kit.Echo", "Kit/Echo", "Echo"] {
            assert_eq!(found(wanted).unwrap(), "a.v1.Kit/Echo", "{wanted}");
        }
        assert_eq!(path(&find(&schema, "Echo").unwrap()), "/a.v1.Kit/Echo");
        assert!(matches!(found("Put"), Err(MethodError::Ambiguous { .. })));
        assert_eq!(found("Other/Put").unwrap(), "a.v1.Other/Put");
        let help = |wanted: &str| match found(wanted) {
            Err(MethodError::NotFound { help, .. }) => help,
            other => panic!("{other:?}"),
        };
        assert_eq!(help("Kit/Ecko"), "did you mean a.v1.Kit/Echo?");
        assert_eq!(help("kit/echo"), "did you mean a.v1.Kit/Echo?");
        assert!(help("SomethingElse").starts_with("there are: a.v1.Kit/Echo, "), "{}", help("SomethingElse"));
        // `cho` is the end of a name, and none itself.
        assert!(found("cho").is_err());
    }
}
