//! `docs/errors.md`: every code that an error can have.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rpcplugin_core::ErrorCategory;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, Path, Token, punctuated::Punctuated};

use super::sources::Source;
use super::{Page, responsibility};
use crate::workspace::Outcome;

/// One error that has a code.
struct Failure {
    code: String,
    /// `LaunchFault::Silent`, or the name of a struct.
    name: String,
    path: String,
    /// The message, without the parts that differ from case to case.
    says: String,
    /// The first paragraph of its documentation.
    means: String,
    /// The help. Several texts where it depends on the case.
    help: Vec<String>,
}

/// Reads the errors from the sources, and writes the page.
pub(super) fn page(sources: &[Source]) -> Outcome<Page> {
    let mut failures = Vec::new();
    for source in sources.iter().filter(|source| source.is_shipped()) {
        let file = syn::parse_file(&source.text).map_err(|error| format!("{}: {error}", source.path))?;
        collect(&file.items, &source.path, &mut failures);
    }
    let mut by_code: BTreeMap<String, Vec<Failure>> = BTreeMap::new();
    for failure in failures {
        by_code.entry(failure.code.clone()).or_default().push(failure);
    }
    let test_files: Vec<_> = sources.iter().map(Source::tests).collect();
    let mut faults = Vec::new();
    let mut text = INTRODUCTION.to_owned();
    for family in ErrorCategory::ALL {
        let codes: Vec<_> =
            by_code.iter().filter(|(code, _)| ErrorCategory::of_code(code) == *family).collect();
        _ = write!(text, "\n## {family}\n\n{}\n", about(*family));
        for (code, failures) in codes {
            faults.extend(faults_of(code, failures));
            let witness = test_files
                .iter()
                .find(|file| file.names(code) || failures.iter().any(|one| file.names_variant(&one.name)))
                .map(|file| file.path);
            if witness.is_none() {
                faults.push(format!("no test or example names {code} ({})", failures[0].name));
            }
            entry(&mut text, code, &failures[0], witness.unwrap_or("none"));
        }
    }
    Ok(Page { path: "docs/errors.md", text, faults })
}

/// The faults of a code.
fn faults_of(code: &str, failures: &[Failure]) -> Vec<String> {
    let mut found = Vec::new();
    let parts: Vec<&str> = code.split("::").collect();
    if parts.len() != 3 || (ErrorCategory::of_code(code) == ErrorCategory::Base && parts[1] != "base") {
        found.push(format!("{code} is not `rpcplugin::<family>::<case>`"));
    }
    for other in failures.iter().skip(1) {
        found.push(format!("{code} is given to two things: {} and {}", failures[0].name, other.name));
    }
    found
}

fn entry(text: &mut String, code: &str, first: &Failure, witness: &str) {
    _ = write!(text, "\n### `{code}`\n\n> {}\n\n{}\n\n", first.says, first.means);
    _ = writeln!(text, "- Raised as `{}` in `{}`.", first.name, first.path);
    match first.help.as_slice() {
        [] => text.push_str("- What to do: see its cause.\n"),
        [one] => _ = writeln!(text, "- What to do: {one}."),
        several => _ = writeln!(text, "- What to do, depending on the case: {}.", several.join("; or: ")),
    }
    _ = writeln!(text, "- Who has to act: {}.\n- Tested in `{witness}`.", responsibility::of(code));
}

fn collect(items: &[syn::Item], path: &str, failures: &mut Vec<Failure>) {
    for item in items {
        match item {
            syn::Item::Enum(one) => {
                for variant in &one.variants {
                    failures.extend(read(&variant.attrs, format!("{}::{}", one.ident, variant.ident), path));
                }
            }
            syn::Item::Struct(one) => failures.extend(read(&one.attrs, one.ident.to_string(), path)),
            // Errors that tests define are left out.
            syn::Item::Mod(one) if !one.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) => {
                if let Some((_, items)) = &one.content {
                    collect(items, path, failures);
                }
            }
            _ => {}
        }
    }
}

/// The error in the attributes of a struct or variant, if they give it a code.
fn read(attributes: &[Attribute], name: String, path: &str) -> Option<Failure> {
    let mut code = None;
    let mut help = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("diagnostic")) {
        let parts = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
        for part in &parts {
            let Meta::List(list) = part else { continue };
            if list.path.is_ident("code") {
                let path: Path = list.parse_args_with(Path::parse_mod_style).ok()?;
                let parts: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
                code = Some(parts.join("::"));
            } else if list.path.is_ident("help") {
                help = sentences(list.tokens.clone());
            }
        }
    }
    let error = attributes.iter().find(|attribute| attribute.path().is_ident("error"));
    let says = error.and_then(|attribute| match &attribute.meta {
        Meta::List(list) => sentences(list.tokens.clone()).into_iter().next(),
        _ => None,
    });
    Some(Failure {
        code: code?,
        name,
        path: path.to_owned(),
        says: says.unwrap_or_else(|| "…".to_owned()),
        means: documentation(attributes),
        help,
    })
}

/// The texts in the arguments of an attribute: its format, or all texts that can fill it.
fn sentences(tokens: proc_macro2::TokenStream) -> Vec<String> {
    let mut texts = Vec::new();
    literals(tokens, &mut texts);
    let whole = texts.first().is_some_and(|format| plain(format) != "…");
    let texts: Vec<String> = texts.iter().map(|text| plain(text)).collect();
    if whole {
        texts.into_iter().take(1).collect()
    } else {
        texts.into_iter().filter(|text| text != "…").collect()
    }
}

fn literals(tokens: proc_macro2::TokenStream, texts: &mut Vec<String>) {
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Group(group) => literals(group.stream(), texts),
            proc_macro2::TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse2::<LitStr>(proc_macro2::TokenTree::from(literal).into()) {
                    texts.push(text.value());
                }
            }
            _ => {}
        }
    }
}

/// A format string for a reader: `cannot listen on …`.
fn plain(format: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    for char in format.chars() {
        match char {
            '{' => {
                if depth == 0 {
                    text.push('…');
                }
                depth += 1;
            }
            '}' => depth -= 1,
            _ if depth == 0 => text.push(char),
            _ => {}
        }
    }
    text
}

/// The first paragraph of the documentation, on one line, without its links.
fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let paragraph: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    paragraph.join(" ").replace("[`", "`").replace("`]", "`")
}

fn about(family: ErrorCategory) -> &'static str {
    match family {
        ErrorCategory::Config => "Settings of users and programs.",
        ErrorCategory::Handshake => "From the start of a plugin's process to its handshake line.",
        ErrorCategory::Instance => "Instances of a plugin, and their configurations.",
        ErrorCategory::Protocol => "Messages between host and plugin after they have connected.",
        ErrorCategory::Transport => "Processes, sockets and connections.",
        ErrorCategory::Security => "Certificates, keys and TLS.",
        ErrorCategory::Docker => "Plugins in containers: the crate `rpcplugin-docker`.",
        ErrorCategory::Kube => "Plugins in Kubernetes pods: the crate `rpcplugin-kube`.",
        _ => "All other errors.",
    }
}

const INTRODUCTION: &str = "# Errors

<!-- Made by `cargo xtask docs` from the sources; change those. -->

Every error has a code, a message and help. The code is `rpcplugin::<family>::<case>` and stays the same from release to
release. A `…` on this page stands for a part of the message that differs from case to case. `rpcplugin::error::PlainReport`
prints an error in plain text with its causes, and `rpcplugin::error::ErrorCategory` is the family of an error.
";

#[cfg(test)]
mod unit {
    use super::*;

    fn failures(source: &str) -> Vec<Failure> {
        let mut failures = Vec::new();
        collect(&syn::parse_file(source).unwrap().items, "a.rs", &mut failures);
        failures
    }

    #[test]
    fn an_error_is_read_with_its_code_message_and_help() {
        let found = failures(
            r#"enum E {
                /// It [`broke`](X).
                ///
                /// More.
                #[error("{} broke at {0:?}", self.x())]
                #[diagnostic(code(rpcplugin::config::broke), help("{}", match x { 1 => "mend", _ => "leave" }))]
                Broke,
                #[error(transparent)]
                #[diagnostic(transparent)]
                Other,
            }"#,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, "rpcplugin::config::broke");
        assert_eq!((&*found[0].name, &*found[0].says), ("E::Broke", "… broke at …"));
        assert_eq!(found[0].help, ["mend", "leave"]);
        assert!(found[0].means.starts_with("It `broke"));
    }

    #[test]
    fn a_code_for_two_things_or_in_another_form_is_a_fault() {
        let two = r#"enum E {
            #[diagnostic(code(rpcplugin::config::a))] A,
            #[diagnostic(code(rpcplugin::config::a))] B,
        }"#;
        let two = failures(two);
        assert!(faults_of("rpcplugin::config::a", &two[..1]).is_empty());
        assert_eq!(faults_of("rpcplugin::config::a", &two).len(), 1);
        assert_eq!(faults_of("rpcplugin::config::a::b", &two[..1]).len(), 1);
        assert_eq!(faults_of("rpcplugin::weather::a", &two[..1]).len(), 1);
    }
}
