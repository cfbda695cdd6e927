//! The method to call, from a complete or shortened name.

use prost_reflect::MethodDescriptor;
use tonic::codegen::http::uri::PathAndQuery;

use crate::{
    error::ExitsWith,
    exit::Exit,
    schema::{self, Reflection, Schema},
};

/// The method cannot be called.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum MethodError {
    /// The plugin serves no reflection, and no files were given.
    #[error("the methods of the plugin are unknown: it has no reflection")]
    #[diagnostic(
        code(rpcplugin::protocol::methods_unknown),
        help("describe the service with --proto FILE or --descriptor-set FILE")
    )]
    NotDescribed,
    /// The plugin's reflection fails.
    #[error("the methods of the plugin are unknown: its reflection fails: {why}")]
    #[diagnostic(
        code(rpcplugin::protocol::reflection_failed),
        help("describe the service with --proto FILE or --descriptor-set FILE")
    )]
    ReflectionFailed {
        /// The reason.
        why: String,
    },
    /// The method exists, but some of its types are unknown.
    #[error("{service} is not fully described: {why}")]
    #[diagnostic(code(rpcplugin::protocol::not_fully_described))]
    NotFullyDescribed {
        /// The service.
        service: String,
        /// What is unknown.
        why: String,
        /// How to describe the service.
        #[help]
        help: String,
    },
    /// No method has this name.
    #[error("there is no method {wanted}")]
    #[diagnostic(code(rpcplugin::protocol::no_such_method))]
    NotFound {
        /// The given name.
        wanted: String,
        /// Similar or known methods.
        #[help]
        help: String,
    },
    /// Several methods have this name.
    #[error("{wanted} is ambiguous")]
    #[diagnostic(code(rpcplugin::protocol::ambiguous_method))]
    Ambiguous {
        /// The given name.
        wanted: String,
        /// The matching methods.
        #[help]
        help: String,
    },
}

impl ExitsWith for MethodError {
    const EXIT: Exit = Exit::Usage;
}

/// Finds a method by its full name or by the end of its name.
pub(super) fn find(schema: &Schema, wanted: &str) -> Result<MethodDescriptor, MethodError> {
    let wanted_name = wanted.trim_start_matches('/').replace('/', ".");
    let candidates = Candidate::all(schema);
    let mut found: Vec<&Candidate> =
        candidates.iter().filter(|one| is_end(&one.full_name(), &wanted_name)).collect();
    if let Some(whole) = found.iter().find(|one| one.full_name() == wanted_name) {
        return whole.chosen();
    }
    // Methods of the application take precedence over methods of the protocol.
    if found.iter().any(|one| !one.is_of_the_protocol()) {
        found.retain(|one| !one.is_of_the_protocol());
    }
    match found.as_slice() {
        [one] => one.chosen(),
        [] => Err(not_found(schema, wanted, &wanted_name, &candidates)),
        several => {
            let names: Vec<String> = several.iter().map(|one| one.path()).collect();
            let help = format!("use a longer name: {}", names.join(", "));
            Err(MethodError::Ambiguous { wanted: wanted.to_owned(), help })
        }
    }
}

/// A method that may match.
struct Candidate {
    service: String,
    name: String,
    /// Its description, or the reason why it is incomplete.
    method: Result<MethodDescriptor, String>,
}

impl Candidate {
    fn all(schema: &Schema) -> Vec<Self> {
        let mut all = Vec::new();
        for name in &schema.services {
            let described =
                schema.service(name).into_iter().flat_map(|service| service.methods().collect::<Vec<_>>());
            all.extend(described.map(|method| Self {
                service: name.clone(),
                name: method.name().to_owned(),
                method: Ok(method),
            }));
            all.extend(schema.undescribed(name).iter().map(|method| Self {
                service: name.clone(),
                name: method.name.clone(),
                method: Err(method.why.clone()),
            }));
        }
        all
    }

    /// Returns the full name, with a dot in place of the slash.
    fn full_name(&self) -> String {
        format!("{}.{}", self.service, self.name).replace('/', ".")
    }

    fn path(&self) -> String {
        format!("{}/{}", self.service, self.name)
    }

    fn is_of_the_protocol(&self) -> bool {
        schema::is_of_the_protocol(&self.service)
    }

    fn chosen(&self) -> Result<MethodDescriptor, MethodError> {
        self.method.clone().map_err(|why| not_fully_described(&self.service, why))
    }
}

fn not_fully_described(service: &str, why: String) -> MethodError {
    let help = match why.contains("does not have") {
        true => {
            "describe the missing types with --proto FILE, or the whole service with --descriptor-set FILE"
        }
        false => "describe the service with --proto FILE or --descriptor-set FILE",
    };
    MethodError::NotFullyDescribed { service: service.to_owned(), why, help: help.to_owned() }
}

/// Whether `end` is the name or its last segments.
fn is_end(whole: &str, end: &str) -> bool {
    whole.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Returns the error for an unknown method. The method may belong to a service without a description.
fn not_found(schema: &Schema, wanted: &str, wanted_name: &str, candidates: &[Candidate]) -> MethodError {
    let without_methods = |service: &&String| {
        schema.service(service).is_none() && !candidates.iter().any(|one| one.service == **service)
    };
    if let Some((service, _)) = wanted_name.rsplit_once('.')
        && let Some(meant) =
            schema.services.iter().filter(without_methods).find(|known| is_end(known, service))
        && let Some(why) = schema.fault(meant)
    {
        return not_fully_described(meant, why);
    }
    match &schema.reflection {
        Some(Reflection::Absent) if candidates.is_empty() => return MethodError::NotDescribed,
        Some(Reflection::Failed(why)) if candidates.is_empty() => {
            return MethodError::ReflectionFailed { why: why.clone() };
        }
        _ => {}
    }
    let mut help = suggestions(wanted_name, candidates);
    if !help.starts_with("did you mean") {
        let own = schema.services.iter().filter(|service| !schema::is_of_the_protocol(service));
        for service in own.filter(|service| schema.undescribed(service).is_empty()).take(MANY) {
            if let Some(why) = schema.fault(service) {
                help += &format!("; {service} is not described: {why}");
            }
        }
    }
    MethodError::NotFound { wanted: wanted.to_owned(), help }
}

/// Returns the path of a method in gRPC.
pub(super) fn path(method: &MethodDescriptor) -> PathAndQuery {
    let path = format!("/{}", name(method));
    path.parse().expect("the names of a service and a method have letters, digits, dots and underscores")
}

/// `package.Service/Method`.
pub(super) fn name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

/// Suggests similar methods, or lists the known methods if no name is similar.
fn suggestions(wanted: &str, methods: &[Candidate]) -> String {
    let wanted = wanted.to_lowercase();
    let mut near: Vec<(usize, &Candidate)> = methods
        .iter()
        .filter_map(|method| {
            let whole = method.full_name().to_lowercase();
            // Compare with the last segments of the name, as many as were given.
            let words: Vec<&str> = whole.rsplitn(wanted.matches('.').count() + 2, '.').collect();
            let end: Vec<&str> =
                words[..words.len().min(wanted.matches('.').count() + 1)].iter().rev().copied().collect();
            let distance = strsim::damerau_levenshtein(&wanted, &end.join("."));
            (distance <= wanted.len() / 3 + 1).then_some((distance, method))
        })
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    // Keep the nearest names and those that are almost as near.
    let nearest = near.first().map_or(0, |(distance, _)| *distance);
    near.retain(|(distance, _)| *distance <= nearest + 1);
    if !near.is_empty() {
        let names: Vec<String> = near.iter().take(3).map(|(_, method)| method.path()).collect();
        return format!("did you mean {}?", names.join(", or "));
    }
    let own = methods.iter().filter(|method| !method.is_of_the_protocol());
    let names: Vec<String> = own.take(MANY).map(Candidate::path).collect();
    match names.as_slice() {
        [] => "no service of the application is described".to_owned(),
        names => format!("the known methods are {}", names.join(", ")),
    }
}

/// The maximum number of methods in a list.
const MANY: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SchemaArgs;

    fn schema() -> Schema {
        let source = "syntax = \"proto3\"; package a.v1; message M {} \
            service Kit { rpc Echo(M) returns (M); rpc Put(M) returns (M); } service Other { rpc Put(M) returns (M); }";
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.proto");
        std::fs::write(&file, source).unwrap();
        let args = SchemaArgs { proto: vec![file], ..SchemaArgs::default() };
        Schema::of_files(&args.read().unwrap().unwrap())
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
        assert!(
            help("SomethingElse").starts_with("the known methods are a.v1.Kit/Echo, "),
            "{}",
            help("SomethingElse")
        );
        // `cho` is the end of a name, but not a segment.
        assert!(found("cho").is_err());
    }
}
