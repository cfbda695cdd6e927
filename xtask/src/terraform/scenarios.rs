//! What is tried.

mod endings;
mod lifecycle;
mod messages;
mod output;
mod values;

use std::fmt::Debug;

use super::attached;
use super::place::Place;
use crate::workspace::Outcome;

/// One thing that is tried, in a fresh place.
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) environment: Vec<(&'static str, &'static str)>,
    pub(super) run: fn(&Place) -> Outcome,
}

/// A protocol and a security, and by which variables they are had.
type Mode = (&'static str, &'static [(&'static str, &'static str)]);

const MODES: &[Mode] = &[
    ("6, mTLS", &[]),
    ("5, mTLS", &[("DEMO_PROTOCOLS", "5")]),
    ("6, plain", &[("TF_DISABLE_PLUGIN_TLS", "1")]),
    ("5, plain", &[("TF_DISABLE_PLUGIN_TLS", "1"), ("DEMO_PROTOCOLS", "5")]),
];

/// All scenarios: those that concern the connection in every mode, the others in one.
pub(super) fn all() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (mode, environment) in MODES {
        scenarios.extend([
            scenario(&format!("lifecycle ({mode})"), environment, lifecycle::whole),
            scenario(&format!("data sources ({mode})"), environment, values::data_sources),
            scenario(&format!("functions ({mode})"), environment, values::functions),
            scenario(&format!("ephemeral ({mode})"), environment, values::ephemeral),
            scenario(&format!("stdio ({mode})"), environment, output::stdio),
            scenario(&format!("crash ({mode})"), environment, endings::crash),
        ]);
    }
    scenarios.extend([
        scenario("call sequences", &[], lifecycle::calls),
        scenario("a mode is what it says", &[], endings::modes),
        scenario("only protocol 6", &[("DEMO_PROTOCOLS", "6")], lifecycle::whole),
        scenario("things changed elsewhere", &[], lifecycle::drift),
        scenario("older state is upgraded", &[], lifecycle::upgrade),
        scenario("import of nothing", &[], lifecycle::import_of_nothing),
        scenario("replacement before destruction", &[], lifecycle::create_before_destroy),
        scenario("values of every kind", &[], values::every_kind),
        scenario("unknown values", &[], values::unknown),
        scenario("an attribute of 12 MiB", &[], values::large),
        scenario("errors in validation", &[], messages::validation),
        scenario("a warning", &[], messages::warning),
        scenario("an error in a plan's application", &[], messages::application),
        scenario("an error of a function", &[], messages::function),
        scenario("an error in the provider's block", &[], messages::provider),
        scenario("no store", &[("DEMO_STORE", "/dev/null/nowhere")], messages::no_store),
        scenario("log levels", &[], output::levels),
        scenario("log fields", &[], output::fields),
        scenario("no log", &[("TF_LOG", "OFF")], lifecycle::whole),
        scenario("stop", &[], endings::stop),
        scenario("300 things, 60 at a time", &[], endings::many),
        scenario("sockets where the host says", &[], endings::socket_directory),
        scenario("reattach (6)", &[], attached::protocol_6),
        scenario("reattach (5)", &[], attached::protocol_5),
        scenario("reattach to the test mode", &[], attached::test_mode),
    ]);
    scenarios
}

fn scenario(
    name: &str,
    environment: &[(&'static str, &'static str)],
    run: fn(&Place) -> Outcome,
) -> Scenario {
    Scenario { name: name.to_owned(), environment: environment.to_vec(), run }
}

/// Checks one thing.
#[expect(clippy::needless_pass_by_value, reason = "values that are made for it need no ampersand")]
fn same<A: Debug + PartialEq<B>, B: Debug>(what: &str, found: A, wanted: B) -> Outcome {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}\n  is     {found:?}\n  not    {wanted:?}").into())
}

/// The identifier of the thing of this name: the beginning of the name's SHA-256.
fn id(name: &str) -> &'static str {
    match name {
        "one" => "thing-7692c3ad3540",
        "two" => "thing-3fc4ccfe7458",
        other => unreachable!("{other}: its identifier is not written down here"),
    }
}
