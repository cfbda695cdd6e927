//! A host in this process, and what its plugin answers and prints.

use std::process::{Command, Stdio};

use rpcplugin::{
    Exit,
    config::HostTls,
    host::{OutputOptions, OutputSource},
};
use rpcplugin_tests::{
    pb::{CountRequest, EchoRequest, WriteStdioRequest},
    support::conformance::client,
};
use tokio::time::timeout;

use crate::support::{TIMEOUT, command, host, kit_plugin, quickstart};

#[test]
fn the_first_example_runs_to_its_end() {
    let output = Command::new(quickstart()).stdin(Stdio::null()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for words in [
        "  security      mutual TLS, ephemeral certificates",
        "  get apple     red",
        "  get durian    NotFound: no such key: durian",
        "  stop          ended cleanly",
    ] {
        assert!(printed.lines().any(|line| line.starts_with(words)), "{words:?} is not in\n{printed}");
    }
}

#[tokio::test]
async fn calls_streams_and_output_arrive_and_the_plugin_ends_cleanly() {
    for (tls, multiplex) in [
        (HostTls::Plaintext, false),
        (HostTls::Plaintext, true),
        (HostTls::AUTO, false),
        (HostTls::AUTO, true),
    ] {
        let what = format!("{tls:?}, multiplexed: {multiplex}");
        let is_mutual = matches!(tls, HostTls::AutoMtls { .. });
        let host = host().configure(|config| {
            config.tls = tls;
            config.multiplex = multiplex;
        });
        let plugin = host.launch(command(kit_plugin())).await.unwrap();
        assert_eq!(plugin.security().is_mutual(), is_mutual, "{what}");
        let mut kit = client(&plugin);
        let data: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let echoed = kit.echo(EchoRequest { data: data.clone().into() }).await.unwrap();
        assert_eq!(echoed.get_ref().data, data, "{what}");

        let request = CountRequest { from: 7, n: 500, pad_bytes: 100, interval_us: 0 };
        let mut counted = kit.count(request).await.unwrap().into_inner();
        let mut values = Vec::new();
        while let Some(count) = counted.message().await.unwrap() {
            values.push(count.value);
        }
        assert_eq!(values, (7..507).collect::<Vec<_>>(), "{what}");

        let mut output = plugin.output(OutputOptions::default());
        let text = "printed by the plugin\n".repeat(1000);
        let request = WriteStdioRequest { stdout: text.clone().into_bytes(), ..Default::default() };
        kit.write_stdio(request).await.unwrap();
        let mut printed = Vec::new();
        while printed.len() < text.len() {
            let chunk = timeout(TIMEOUT, output.next()).await.expect("all output arrives").unwrap();
            if chunk.source == OutputSource::Stdout {
                printed.extend_from_slice(&chunk.bytes);
            }
        }
        assert!(printed == text.as_bytes(), "{what}: {}", String::from_utf8_lossy(&printed));
        assert_eq!(plugin.shut_down().await, Exit::Clean, "{what}");
    }
}

/// A program is found as the system finds it.
#[cfg(windows)]
#[tokio::test]
async fn a_program_is_found_without_its_extension() {
    let program = kit_plugin().with_extension("");
    let plugin = host().launch(command(program)).await.unwrap();
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}
