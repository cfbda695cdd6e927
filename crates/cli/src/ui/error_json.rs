//! Errors as JSON.

use miette::{Diagnostic, Severity};
use rpcplugin::error::causes;
use serde_json::json;

/// Returns an error of this program as JSON. The error of a call has the same members.
pub(crate) fn error_as_json(error: &dyn Diagnostic) -> serde_json::Value {
    let mut help = error.help().map(|help| help.to_string());
    let mut code = error.code().map(|code| code.to_string());
    let mut inner = error.diagnostic_source();
    while let Some(diagnostic) = inner {
        help = help.or_else(|| diagnostic.help().map(|help| help.to_string()));
        code = diagnostic.code().map(|code| code.to_string()).or(code);
        inner = diagnostic.diagnostic_source();
    }
    let related = error.related().into_iter().flatten();
    let evidence: Vec<_> = related
        .filter(|related| related.severity() == Some(Severity::Advice))
        .map(|evidence| evidence.to_string())
        .collect();
    json!({
        "kind": "program",
        "code": code,
        "grpc": null,
        "message": error.to_string(),
        "causes": cause_texts(error),
        "help": help,
        "evidence": evidence,
        "details": [],
    })
}

/// Returns the texts of an error's causes, the nearest first.
pub(crate) fn cause_texts(error: &dyn std::error::Error) -> Vec<String> {
    causes(error).map(ToString::to_string).collect()
}
