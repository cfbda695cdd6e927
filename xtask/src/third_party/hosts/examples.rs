//! The hosts of go-plugin's own examples, with their plugins behind a tap.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::taps::Trace;
use super::{Place, must};
use crate::workspace::Outcome;

/// The example `grpc`: a value is put and got.
pub(super) fn kv(place: &Place<'_>) -> Outcome<Vec<String>> {
    let trace = put_and_get(place, "kv-host")?;
    trace.must_end_cleanly()?;
    Ok(vec!["put, get".to_owned(), trace.summary()])
}

/// The same with a host on the first go-plugin. The host exits without a word to its plugin, which stays unless a tap ends it.
pub(super) fn old_kv(place: &Place<'_>) -> Outcome<Vec<String>> {
    let trace = put_and_get(place, "kv-host-1.0")?;
    trace.must_end_with_the_host()?;
    let ending = "The host exits without ending its plugin, and the tap ends it";
    Ok(vec!["put, get".to_owned(), trace.summary(), ending.to_owned()])
}

fn put_and_get(place: &Place<'_>, host: &str) -> Outcome<Trace> {
    let plugin = place.tapped(&place.built("kv")?, "plugins", "kv-go-grpc")?;
    let host = place.built(host)?;
    let run = |name: &str, arguments: &[&str]| {
        let mut command = example(place, &host, "KV_PLUGIN", &plugin);
        place.succeed(command.env("KV_PROTO", "grpc").args(arguments), name)
    };
    run("put", &["put", "greeting", "hello"])?;
    let got = run("get", &["get", "greeting"])?;
    must(got.starts_with("hello"), format!("the value is {got:?}"))?;
    let trace = Trace::read(&place.trace())?;
    trace.must_show(&["KV/Put", "KV/Get"])?;
    Ok(trace)
}

/// The example `bidirectional`: the plugin has its host add.
pub(super) fn counter(place: &Place<'_>) -> Outcome<Vec<String>> {
    let plugin = place.tapped(&place.built("counter")?, "plugins", "counter-go-grpc")?;
    let host = place.built("counter-host")?;
    let run = |name: &str, arguments: &[&str]| {
        let mut command = example(place, &host, "COUNTER_PLUGIN", &plugin);
        place.succeed(command.args(arguments), name)
    };
    run("first", &["put", "sum", "1"])?;
    run("second", &["put", "sum", "2"])?;
    let got = run("get", &["get", "sum"])?;
    must(got.trim() == "3", format!("the sum is {got:?}"))?;
    let trace = Trace::read(&place.trace())?;
    trace.must_show(&["Counter/Put", "AddHelper/Sum", "Counter/Get"])?;
    trace.must_show_brokered()?;
    trace.must_end_cleanly()?;
    Ok(vec!["put 1, put 2, get 3".to_owned(), trace.summary()])
}

/// A host of an example. It starts the plugin with a shell, in a directory in which the plugin writes its values.
fn example(place: &Place<'_>, host: &Path, variable: &str, plugin: &Path) -> Command {
    let work = place.directory.join("work");
    let _ = fs::create_dir_all(&work);
    let mut command = Command::new(host);
    command.current_dir(work).env(variable, plugin);
    command
}
