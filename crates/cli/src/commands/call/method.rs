//! Which method is meant.

use prost_reflect::MethodDescriptor;
use tonic::codegen::http::uri::PathAndQuery;

use crate::{
    error::ExitsWith,
    exit::Exit,
    schema::{self, Reflection, Schema},
};

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
    /// The plugin serves reflection, and that does not say what it serves.
    #[error("the plugin does not say what its methods are: {why}")]
    #[diagnostic(
        code(rpcplugin::protocol::reflection_failed),
        help("give its description: --proto FILE, or --descriptor-set FILE")
    )]
    ReflectionFailed {
        /// What keeps it from doing so.
        why: String,
    },
    /// The method is there, but not everything that it takes or returns is known.
    #[error("{service} is not fully described: {why}")]
    #[diagnostic(code(rpcplugin::protocol::not_fully_described))]
    NotFullyDescribed {
        /// The service.
        service: String,
        /// What is not known.
        why: String,
        /// How it can be made known.
        #[help]
        help: String,
    },
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
    let wanted_name = wanted.trim_start_matches('/').replace('/', ".");
    let candidates = Candidate::all(schema);
    let mut found: Vec<&Candidate> =
        candidates.iter().filter(|one| is_end(&one.full_name(), &wanted_name)).collect();
    if let Some(whole) = found.iter().find(|one| one.full_name() == wanted_name) {
        return whole.chosen();
    }
    // A name alone rather means a method of the application than one of gRPC's own.
    if found.iter().any(|one| !one.is_of_the_protocol()) {
        found.retain(|one| !one.is_of_the_protocol());
    }
    match found.as_slice() {
        [one] => one.chosen(),
        [] => Err(not_found(schema, wanted, &wanted_name, &candidates)),
        several => {
            let names: Vec<String> = several.iter().map(|one| one.path()).collect();
            let help = format!("say which: {}", names.join(", "));
            Err(MethodError::Ambiguous { wanted: wanted.to_owned(), help })
        }
    }
}

/// A method that may be meant.
struct Candidate {
    service: String,
    name: String,
    /// Its description, or why that is not complete.
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

    /// As what is wanted is looked for: with dots only.
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
        true => "give it with --proto FILE, or a file with all of it with --descriptor-set FILE",
        false => "give its description: --proto FILE, or --descriptor-set FILE",
    };
    MethodError::NotFullyDescribed { service: service.to_owned(), why, help: help.to_owned() }
}

/// Whether a name is another one, or the end of it.
fn is_end(whole: &str, end: &str) -> bool {
    whole.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// There is no such method among those that are known. It may be one of a service of which none is known.
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

/// The path under which gRPC knows the method.
pub(super) fn path(method: &MethodDescriptor) -> PathAndQuery {
    let path = format!("/{}", name(method));
    path.parse().expect("the names of a service and a method have letters, digits, dots and underscores")
}

/// `package.Service/Method`.
pub(super) fn name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

/// What may have been meant; and where nothing comes near, what there is.
fn suggestions(wanted: &str, methods: &[Candidate]) -> String {
    let wanted = wanted.to_lowercase();
    let mut near: Vec<(usize, &Candidate)> = methods
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
        let names: Vec<String> = near.iter().take(3).map(|(_, method)| method.path()).collect();
        return format!("did you mean {}?", names.join(", or "));
    }
    let own = methods.iter().filter(|method| !method.is_of_the_protocol());
    let names: Vec<String> = own.take(MANY).map(Candidate::path).collect();
    match names.as_slice() {
        [] => "no method of an application's service is described".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    }
}

/// As many methods as are named when nothing comes near.
const MANY: usize = 30;

impl ExitsWith for MethodError {
    const EXIT: Exit = Exit::Usage;
}

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
        assert!(help("SomethingElse").starts_with("there are: a.v1.Kit/Echo, "), "{}", help("SomethingElse"));
        // `cho` is the end of a name, and none itself.
        assert!(found("cho").is_err());
    }
}
