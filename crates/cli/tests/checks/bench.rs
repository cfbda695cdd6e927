//! `bench`: the results are consistent.

use std::{ffi::OsString, path::Path};

use crate::program::{Run, basic_plugin, rpcplugin};

#[test]
fn launches_and_calls_are_measured() {
    let run = bench(&["--json", "--launches", "3", "--time", "100ms", "--in-flight", "4"], &basic_plugin());
    let json = run.ended_with(0).json();
    let number = |path: &str| json.pointer(path).unwrap().as_f64().unwrap();
    assert_eq!((number("/launch/count"), number("/shutdown/count")), (3.0, 3.0));
    assert_eq!(number("/throughput/in_flight"), 4.0);
    for name in ["/launch", "/shutdown", "/latency", "/throughput/latency"] {
        let at = |share: &str| number(&format!("{name}/{share}"));
        assert!(at("count") >= 1.0 && at("min_us") > 0.0, "{json}");
        let order = ["min_us", "p50_us", "p90_us", "p99_us", "p999_us", "max_us"].map(at);
        assert!(order.is_sorted(), "{json}");
        assert!((at("min_us")..=at("max_us")).contains(&at("mean_us")), "{json}");
    }
    let (calls, per_second) = (number("/throughput/latency/count"), number("/throughput/calls_per_second"));
    assert!(per_second > 0.0 && calls / per_second >= 0.1, "{json}");
}

#[test]
fn percentiles_and_histograms_are_printed() {
    let run = bench(&["--launches", "1", "--time", "50ms"], &basic_plugin()).ended_with(0);
    run.prints(&[
        "launch  from the start",
        "latency  ",
        "calls per second with 16 in flight",
        "half within",
        "≤ ",
        "█",
    ]);
}

#[test]
fn a_plugin_that_does_not_start_is_an_error() {
    let run = bench(&["--json"], Path::new("/no/such/plugin")).ended_with(3);
    assert_eq!(run.json()["error"]["code"], "rpcplugin::transport::plugin_not_found");
    let without = rpcplugin(["bench".as_ref(), basic_plugin().as_os_str()]);
    without.ended_with(3).prints(&["rpcplugin::config::cookie_not_given", "--cookie BASIC_PLUGIN=…"]);
}

fn bench(args: &[&str], plugin: &Path) -> Run {
    let args = ["bench", "--cookie", "BASIC_PLUGIN=hello"].iter().chain(args).chain(&["--"]);
    rpcplugin(args.map(OsString::from).chain([plugin.into()]))
}
