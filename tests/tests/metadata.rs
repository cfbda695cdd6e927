//! What plugins are: metadata and requirements, with plugins and hosts in Rust and Go.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process};

use rpcplugin::{
    Command, Exit, Host, MagicCookie,
    host::{LaunchFault, MetadataCallError, ProgramFile, RequirementFault, discover_plugins},
    metadata::{MetadataError, PluginMetadata, Version},
};
use rpcplugin_tests::support::{
    conformance,
    programs::{conformance_plugin, example, peer},
};

fn host() -> Host {
    Host::new(MagicCookie::new("METADATA_PLUGIN", "hello").unwrap(), 1)
}

fn of_go() -> PluginMetadata {
    PluginMetadata::builder("go-weather", Version::new(1, 2, 0))
        .capability("alerts")
        .capability("forecast.hourly")
        .minimum_host_version(Version::new(2, 0, 0))
        .build_fact("compiler", "gc")
        .finish()
        .unwrap()
}

async fn fault(host: &Host, command: Command) -> RequirementFault {
    match host.launch(command).await.unwrap_err().fault {
        LaunchFault::Requirement(fault) => fault,
        fault => panic!("{fault:?}"),
    }
}

#[tokio::test]
async fn a_rust_plugin_reports_what_is_in_its_file() {
    let program = example("metadata");
    let embedded = ProgramFile::of(&program).unwrap().embedded_metadata().unwrap().unwrap();
    assert_eq!(embedded.to_string(), "greeter 1.2.0");
    assert_eq!(embedded.build_facts().collect::<Vec<_>>(), [("crate", "rpcplugin")]);
    let plugin = host().launch(Command::new(&program)).await.unwrap();
    assert_eq!(plugin.metadata().await.unwrap(), Some(&embedded));
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn programs_without_a_block_have_no_metadata() {
    let kit = rpcplugin_tests::support::programs::program("kit-plugin");
    assert_eq!(ProgramFile::of(&kit).unwrap().embedded_metadata().unwrap(), None);
}

#[tokio::test]
async fn a_go_plugin_reports_metadata() {
    let Some(program) = peer("go", "metadata-plugin") else { return };
    let command =
        Command::new(&program).require_version("^1.1".parse().unwrap()).require_capability("alerts");
    let plugin = host().program_version(Version::new(2, 1, 0)).launch(command).await.unwrap();
    assert_eq!(plugin.metadata().await.unwrap(), Some(&of_go()));
    assert_eq!(plugin.shut_down().await, Exit::Clean);

    let too_new = fault(&host(), Command::new(&program).require_version("<1".parse().unwrap())).await;
    assert_eq!(too_new.to_string(), "the plugin go-weather has version 1.2.0, and this host requires <1");
    let old_host = fault(&host().program_version(Version::new(1, 0, 0)), Command::new(&program)).await;
    assert!(matches!(old_host, RequirementFault::HostVersion { .. }), "{old_host:?}");
    let odd = Command::new(&program).arg("latest").require_capability("alerts");
    let odd = fault(&host(), odd).await;
    let RequirementFault::Metadata(MetadataCallError::Invalid(MetadataError::Version { text, .. })) = odd
    else {
        panic!("{odd:?}")
    };
    assert_eq!(text, "latest");
}

#[test]
fn go_programs_are_discovered_with_their_metadata() {
    let Some(program) = peer("go", "metadata-plugin") else { return };
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(fs::canonicalize(&program).unwrap(), dir.path().join("weather-go")).unwrap();
    fs::write(
        dir.path().join("weather-sh"),
        "#!/bin/sh\n: <<'E'\n<rpcplugin-metadata 1>\nname=sh\nversion=0.1.0\n</rpcplugin-metadata>\nE\n",
    )
    .unwrap();
    fs::write(dir.path().join("weather-txt"), "no plugin").unwrap();
    let found = discover_plugins(dir.path(), "weather-*").unwrap();
    let found: Vec<_> = found.into_iter().map(|plugin| plugin.metadata.unwrap()).collect();
    let script = PluginMetadata::builder("sh", Version::new(0, 1, 0)).finish().unwrap();
    assert_eq!(found, [Some(of_go()), Some(script), None]);
}

#[tokio::test]
async fn a_go_plugin_without_metadata_works_as_before() {
    let Some(words) = conformance_plugin("go") else { return };
    let host = conformance::host();
    let plugin = host.launch(Command::new(&words[0])).await.unwrap();
    assert_eq!(plugin.metadata().await.unwrap(), None);
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    let fault = fault(&host, Command::new(&words[0]).require_version("1".parse().unwrap())).await;
    assert!(matches!(fault, RequirementFault::NoMetadata { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_python_plugin_without_metadata_works_as_before() {
    let Some(words) = conformance_plugin("python") else { return };
    let command = || Command::new(&words[0]).args(&words[1..]);
    let host = conformance::host();
    let plugin = host.launch(command()).await.unwrap();
    assert_eq!(plugin.metadata().await.unwrap(), None);
    plugin.shut_down().await;
    let fault = fault(&host, command().require_version("1".parse().unwrap())).await;
    assert!(matches!(fault, RequirementFault::NoMetadata { .. }), "{fault:?}");
}

#[test]
fn a_go_host_reads_the_metadata_of_a_rust_plugin() {
    let Some(host) = peer("go", "metadata-host") else { return };
    let output = process::Command::new(host).arg(example("metadata")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "greeter 1.2.0 [english formal] map[crate:rpcplugin] 2.0.0\n"
    );
}
