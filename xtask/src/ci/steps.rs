//! The steps of `cargo xtask ci`, in order: quick ones that break often come first.

use std::process::Command;

use super::{Options, Step, by_cargo, deny, given, msrv, packages, plain};
use crate::toolchain::{Tool, cargo_subcommand, first_line};
use crate::workspace::Outcome;
use crate::{
    api, cluster, codegen, containers, cross, docs, fuzz, guide, instructions, interop, miri, terraform, tidy,
};

/// All steps for these options.
pub(super) fn all(options: &Options) -> Vec<Step> {
    let names = options.require.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let flag = if names.is_empty() { String::new() } else { format!(" --require {names}") };
    // Tests with peers that are required fail without them.
    let required = [("RPCPLUGIN_REQUIRE", names)];
    let mut steps = vec![
        by_cargo("fmt", "fmt --all --check", &[]),
        by_xtask("codegen", "codegen --check", || codegen::run(&codegen::Options { check: true })),
        by_xtask("references", "docs --check", || docs::run(&docs::Options { check: true })),
        by_xtask("tidy", "tidy", tidy::run),
        given(
            api::obstacle,
            by_xtask("public API", "api --check", || api::run(&api::Options { check: true })),
        ),
        by_cargo("clippy", CLIPPY, &[]),
        // The tests look for the peers that this step builds.
        by_xtask("peers", &format!("interop --build{flag}"), {
            let require = options.require.clone();
            move || interop::run(&interop::Options { require, build: true, ..Default::default() })
        }),
    ];
    match cargo_subcommand("nextest") {
        // nextest runs each test in a process of its own. Terraform has a step of its own.
        Ok(()) => steps.extend([
            by_cargo("tests", "nextest run --workspace --no-fail-fast -E !binary(terraform)", &required),
            given(unix, plain::sample(&required)),
        ]),
        Err(_) => steps.push(plain::all(&required)),
    }
    steps.extend([
        by_cargo("doc tests", "test --workspace --no-fail-fast --doc", &[]),
        by_cargo("docs", "doc --workspace --no-deps", &[("RUSTDOCFLAGS", "-D warnings".to_owned())]),
        by_cargo("examples", "build --workspace --examples", &[]),
        given(unix, by_xtask("guide", "guide", guide::run)),
    ]);
    steps.extend(FEATURES.iter().map(|(name, line)| by_cargo(name, line, &[])));
    if options.full {
        let line = "check -p rpcplugin --no-default-features --features client,server,aws-lc-rs";
        steps.push(by_cargo("features: aws-lc-rs", line, &[]));
    }
    steps.extend([msrv::step(), packages::step(), deny::rules(), deny::advisories(), semver()]);
    steps.push(given(
        || instructions::obstacle().map_or(Ok(()), Err),
        by_xtask("instructions", "instructions", || instructions::run(&instructions::Options::default())),
    ));
    let interop = by_xtask("interop", &format!("interop --check{flag}"), {
        let require = options.require.clone();
        move || interop::run(&interop::Options { require, check: true, ..Default::default() })
    });
    steps.push(given(unix, interop));
    // All of it, with the programs under Wine, takes twenty minutes.
    let full = options.full;
    let line = if full { "cross --full" } else { "cross --check" };
    let cross =
        by_xtask("macOS and Windows", line, move || cross::run(&cross::Options { check: !full, full }));
    // The programs under Wine use both processors, as the tests do.
    steps.push(Step { is_beside: !full, ..given(move || cross::obstacle(!full), cross) });
    let require = options.require.contains(&Tool::Terraform);
    let line = if require { "terraform --require" } else { "terraform" };
    let terraform = by_xtask("terraform", line, move || {
        terraform::run(&terraform::Options { require, ..Default::default() })
    });
    steps.push(given(move || if require { Ok(()) } else { Tool::Terraform.version().map(drop) }, terraform));
    let require = options.require.contains(&Tool::Podman);
    let line = if require { "containers --require" } else { "containers" };
    let [(_, peers)] = required;
    let containers = by_xtask("containers", line, move || {
        containers::run(&containers::Options { require, peers, ..Default::default() })
    });
    steps.push(given(move || if require { Ok(()) } else { containers::obstacle() }, containers));
    let require = options.require.contains(&Tool::Cluster);
    let line =
        format!("cluster{}{}", if full { " --full" } else { "" }, if require { " --require" } else { "" });
    let cluster = by_xtask("cluster", &line, move || {
        cluster::run(&cluster::Options { full, require, ..Default::default() })
    });
    steps.push(given(move || if require { Ok(()) } else { cluster::obstacle(full) }, cluster));
    if full {
        let options = fuzz::Options::for_seconds(60);
        steps.push(given(miri::obstacle, by_xtask("miri", "miri", miri::run)));
        steps.push(given(fuzz::obstacle, by_xtask("fuzz", "fuzz --seconds 60", move || fuzz::run(&options))));
    }
    steps
}

/// Clippy, of all crates that have changed since it ran last.
pub(super) const CLIPPY: &str = "clippy --workspace --all-targets -- -D warnings";

/// Compares the public API with that of the newest release before this commit, if there is one.
fn semver() -> Step {
    let mut tags = Command::new("git");
    let tags = tags.args(["tag", "--list", "v*", "--no-contains", "HEAD", "--sort=-v:refname"]);
    let newest = first_line(tags).unwrap_or_default();
    let line = format!("semver-checks --workspace --baseline-rev {newest}");
    let needed = move || match newest.is_empty() {
        true => Err("there is no release to compare with: no tag begins with `v`".to_owned()),
        false => cargo_subcommand("semver-checks"),
    };
    given(needed, by_cargo("semver", &line, &[]))
}

/// The facade as its users build it: with one side only, with none, with each crypto provider, and without P-521, files, rate limits
/// and tonic's channel. The step *runners* has the default features. All other steps have all features of both sides with ring.
/// `rpcplugin-mtls` tests the whole of the other provider.
const FEATURES: &[(&str, &str)] = &[
    ("features: ring", "check -p rpcplugin --no-default-features --features ring"),
    ("features: client", "check -p rpcplugin --no-default-features --features client,config-file,ring"),
    ("features: server", "check -p rpcplugin --no-default-features --features server,otel,ring"),
    ("features: docker", "check -p rpcplugin --no-default-features --features docker,ring"),
    ("features: otel", "check -p rpcplugin --no-default-features --features client,otel,ring,tonic-channel"),
    ("features: runners", "check -p rpcplugin-cli --features docker,kube"),
    ("features: program", "check -p rpcplugin-cli --no-default-features"),
    // What `cargo xtask bench` builds beside the tests.
    ("features: raw-tonic", "check -p rpcplugin-tests --features raw-tonic --bin kit-bench"),
    ("tests: aws-lc-rs", "test -p rpcplugin-mtls --no-default-features --features aws-lc-rs --no-fail-fast"),
];

/// Whether this is a Unix system.
fn unix() -> Result<(), String> {
    if cfg!(unix) { Ok(()) } else { Err("it needs a shell and Unix sockets".to_owned()) }
}

/// A step that is another command of this program.
pub(super) fn by_xtask(name: &'static str, line: &str, run: impl FnOnce() -> Outcome + 'static) -> Step {
    Step::new(name, format!("cargo xtask {line}"), || run().into())
}
