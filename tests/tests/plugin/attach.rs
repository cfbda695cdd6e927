//! Serving hosts that attach.

use std::{
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStdout, Stdio},
    sync::Arc,
};

use rpcplugin::{
    broker::ServiceId,
    handshake::{ReattachConfig, ReattachConfigs},
    transport::Security,
};
use rpcplugin_proto::Channel::Stdout;
use rustix::process::{Signal, kill_process};

use crate::subject::{Start, channel, ended, greet, host_broker, pid, read_until, shut_down, stdio, subject};

struct Attachable {
    child: Child,
    config: ReattachConfig,
    assignment: String,
    stdout: Lines<BufReader<ChildStdout>>,
    _start: Start,
}

fn attachable(start: Start) -> Attachable {
    let start = start.arg("--attachable").without("PLUGIN_SUBJECT").without("PLUGIN_PROTOCOL_VERSIONS");
    let mut child = start.command().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || stdout.next().unwrap().unwrap();
    let (config, assignment) = (ReattachConfig::parse(&line()).unwrap(), line());
    Attachable { child, config, assignment, stdout, _start: start }
}

impl Drop for Attachable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn each_host_in_turn_has_a_working_broker_and_stdio() {
    let mut plugin = attachable(subject().arg("--versions").arg("4,5"));
    assert_eq!(
        (plugin.config.version, plugin.config.test),
        (Some(rpcplugin::AppVersion(4)), true),
        "the oldest"
    );
    assert_eq!(plugin.config.pid, rpcplugin::host::Pid::new(plugin.child.id()));
    for host in ["first", "second", "third"] {
        // A host that attaches first checks for a listener.
        let rpcplugin::Endpoint::Unix(path) = &plugin.config.endpoint else { panic!("a socket") };
        drop(tokio::net::UnixStream::connect(path.as_path()).await.unwrap());

        let channel = channel(&plugin.config.endpoint, Security::Plain).await.unwrap();
        let broker = host_broker(&channel);
        let id = greet(channel.clone(), "serve").await.unwrap().parse().unwrap();
        let brokered = broker.dial(ServiceId(id)).await.unwrap();
        assert_eq!(greet(brokered, "over the broker").await.unwrap(), "hello over the broker");

        greet(channel.clone(), &format!("print for the {host} host")).await.unwrap();
        read_until(&mut stdio(channel.clone()).await, Stdout, &format!("for the {host} host\n")).await;
        assert_eq!(
            plugin.stdout.next().unwrap().unwrap(),
            format!("for the {host} host"),
            "and to the terminal"
        );
        // The host disconnects without a call.
        drop((channel, broker));
    }
    shut_down(channel(&plugin.config.endpoint, Security::Plain).await.unwrap()).await.unwrap();
    assert_eq!(ended(&mut plugin.child).await.code(), Some(0));
}

#[tokio::test]
async fn the_assignment_is_what_terraform_reads() {
    let plugin = attachable(subject());
    let json = plugin.assignment.strip_prefix("TF_REATTACH_PROVIDERS='").unwrap().strip_suffix('\'').unwrap();
    let configs = ReattachConfigs::parse(json).unwrap();
    assert_eq!(configs.0.get("example.org/demo/kv"), Some(&plugin.config));
}

#[tokio::test]
async fn sigint_has_its_default_action() {
    use std::os::unix::process::ExitStatusExt as _;
    let mut plugin = attachable(subject());
    kill_process(pid(&plugin.child), Signal::INT).unwrap();
    assert_eq!(ended(&mut plugin.child).await.signal(), Some(Signal::INT.as_raw()));
}

#[tokio::test]
async fn its_shutdown_token_ends_it() {
    let mut plugin = attachable(subject());
    let channel = Arc::new(channel(&plugin.config.endpoint, Security::Plain).await.unwrap());
    greet((*channel).clone(), "end").await.unwrap();
    assert_eq!(ended(&mut plugin.child).await.code(), Some(0));
}
