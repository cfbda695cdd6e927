//! The steps of `cargo xtask ci`, in order: what is quick and breaks often comes first.

use super::{Action, Options, Step, Verdict, deny, msrv, packages, plain, run_cargo};
use crate::toolchain::{Tool, cargo_subcommand};
use crate::{api, codegen, docs, guide, instructions, interop, terraform, tidy};

/// All steps for these options.
pub(super) fn all(options: &Options) -> Vec<Step> {
    let mut steps = vec![
        by_cargo("fmt", "fmt --all --check", &[]),
        by_xtask(
            "codegen",
            "codegen --check",
            Box::new(|| codegen::run(&codegen::Options { check: true }).into()),
        ),
        by_xtask("references", "docs --check", Box::new(|| docs::run(&docs::Options { check: true }).into())),
        by_xtask("tidy", "tidy", Box::new(|| tidy::run().into())),
        by_xtask("public API", "api --check", Box::new(|| api::run(&api::Options { check: true }).into())),
        by_cargo("clippy", "clippy --workspace --all-targets -- -D warnings", &[]),
        built_peers(options),
    ];
    steps.extend(tests(options));
    steps.extend([
        by_cargo("doc tests", "test --workspace --no-fail-fast --doc", &[]),
        by_cargo("docs", "doc --workspace --no-deps", &[("RUSTDOCFLAGS", "-D warnings".to_owned())]),
        by_cargo("examples", "build --workspace --examples", &[]),
    ]);
    steps.push(by_xtask("guide", "guide", Box::new(|| guide::run().into())));
    steps.extend(features(options.full));
    steps.push(msrv::step());
    steps.push(packages::step());
    steps.push(deny::rules());
    steps.push(deny::advisories());
    steps.push(counted());
    steps.push(peers(options));
    steps.push(terraform(options));
    steps
}

/// The gate for what gets slower by our own doing, where numbers can be compared with those of before.
fn counted() -> Step {
    let run = || instructions::run(&instructions::Options::default()).into();
    let comparable = || instructions::obstacle().map_or(Ok(()), Err);
    given(comparable, by_xtask("instructions", "instructions", Box::new(run)))
}

/// Builds the peers in other languages, which the tests look for.
fn built_peers(options: &Options) -> Step {
    let require = options.require.clone();
    let line = with_required("interop --build", &require);
    by_xtask("peers", &line, Box::new(move || interop::run(&interop::Options::building(require)).into()))
}

/// Runs the tests with nextest, which keeps each in a process of its own, or without where it is missing. Tests with
/// peers that are required fail without them.
fn tests(options: &Options) -> Vec<Step> {
    let required = [("RPCPLUGIN_REQUIRE", names(&options.require).join(","))];
    match cargo_subcommand("nextest") {
        Ok(()) => vec![
            by_cargo("tests", "nextest run --workspace --no-fail-fast", &required),
            plain::sample(&required),
        ],
        Err(_) => vec![plain::all(&required)],
    }
}

/// Builds the facade as its users do: with one side only, with none, and with each crypto provider. Both sides with
/// ring are the default, which every other step has. What the other provider does is tested where all of it is, in
/// `rpcplugin-mtls`.
fn features(full: bool) -> Vec<Step> {
    let mut steps = vec![
        by_cargo("features: ring", "check -p rpcplugin --no-default-features --features ring", &[]),
        by_cargo("features: client", "check -p rpcplugin --no-default-features --features client,ring", &[]),
        by_cargo("features: server", "check -p rpcplugin --no-default-features --features server,ring", &[]),
        by_cargo(
            "features: otel",
            "check -p rpcplugin --no-default-features --features client,otel,ring",
            &[],
        ),
        // What `cargo xtask bench` builds beside the tests.
        by_cargo("features: raw-tonic", "check -p rpcplugin-tests --features raw-tonic --bin kit-bench", &[]),
        by_cargo(
            "tests: aws-lc-rs",
            "test -p rpcplugin-mtls --no-default-features --features aws-lc-rs --no-fail-fast",
            &[],
        ),
    ];
    if full {
        steps.push(by_cargo(
            "features: aws-lc-rs",
            "check -p rpcplugin --no-default-features --features client,server,aws-lc-rs",
            &[],
        ));
    }
    steps
}

fn peers(options: &Options) -> Step {
    let require = options.require.clone();
    let line = with_required("interop --check", &require);
    by_xtask("interop", &line, Box::new(move || interop::run(&interop::Options::checking(require)).into()))
}

/// An xtask line with the toolchains that are required.
fn with_required(line: &str, require: &[Tool]) -> String {
    if require.is_empty() {
        line.to_owned()
    } else {
        format!("{line} --require {}", names(require).join(","))
    }
}

fn names(tools: &[Tool]) -> Vec<String> {
    tools.iter().map(|tool| tool.to_string().to_lowercase()).collect()
}

/// The real Terraform, where there is one or it is required.
fn terraform(options: &Options) -> Step {
    let required = options.require.contains(&Tool::Terraform);
    let line = if required { "terraform --require" } else { "terraform" };
    let run = move || terraform::run(&terraform::Options::requiring(required)).into();
    let step = by_xtask("terraform", line, Box::new(run));
    if required { step } else { given(|| Tool::Terraform.version().map(drop), step) }
}

/// A step that is one cargo line.
pub(super) fn by_cargo(
    name: &'static str,
    line: &'static str,
    environment: &[(&'static str, String)],
) -> Step {
    let environment = environment.to_vec();
    let mut reproduce = String::new();
    for (variable, value) in &environment {
        reproduce.push_str(&format!("{variable}='{value}' "));
    }
    reproduce.push_str("cargo ");
    reproduce.push_str(line);
    Step { name, reproduce, action: Box::new(move || run_cargo(line, &environment)) }
}

/// A step that is another command of this program.
fn by_xtask(name: &'static str, line: &str, action: Action) -> Step {
    Step { name, reproduce: format!("cargo xtask {line}"), action }
}

/// A step that needs something first, and is skipped with the reason where that is missing.
pub(super) fn given(needed: impl FnOnce() -> Result<(), String> + 'static, step: Step) -> Step {
    let action = step.action;
    let guarded = Box::new(move || match needed() {
        Ok(()) => action(),
        Err(why) => Verdict::Skipped(why),
    });
    Step { action: guarded, ..step }
}
