//! Brokered connections leave nothing: memory, file descriptors and sockets of both processes do not grow with the number of
//! connections that are made and dropped.
//!
//! The test is alone in its process, because it measures the process. `RPCPLUGIN_BROKERED` is the number of connections in each
//! mode. 100 000 connections take some minutes in a release build, and would show a leak of 100 bytes each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rpcplugin::{
    Host, Plugin, PluginChannel, Services, Versions,
    broker::{Broker, ServiceHandle, ServiceId},
    config::HostTls,
};
use rpcplugin_tests::{
    contract::cookie,
    pb::{
        CallbackRequest, CloseRequest, GreetRequest, OpenSubRequest, TransformRequest, TransformResponse,
        host_calls_server::{HostCalls, HostCallsServer},
        kit_client::KitClient,
        sub_client::SubClient,
    },
    support::conformance::kit,
};
use tempfile::TempDir;
use tonic::{Request, Response, Status};

#[tokio::test]
async fn many_connections_leave_nothing() {
    let connections = connections();
    for multiplexed in [false, true] {
        let subject = Subject::launch(multiplexed).await;
        // Fills buffers, caches and the free lists of allocators.
        subject.make_and_drop(connections / 5).await;
        let before = subject.settled().await;
        let begun = Instant::now();
        subject.make_and_drop(connections).await;
        let took = begun.elapsed();
        let after = subject.settled().await;
        println!("multiplexed: {multiplexed}; {connections} connections in {took:.1?}");
        println!("before: {before:?}\nafter:  {after:?}");

        assert_eq!(after.sockets, before.sockets);
        for (side, after, before) in
            [("host", after.host, before.host), ("plugin", after.plugin, before.plugin)]
        {
            assert!(after.descriptors <= before.descriptors, "{side}: {after:?}, before {before:?}");
            let grown = after.memory.saturating_sub(before.memory);
            assert!(grown < ALLOWED_KIB, "{side}: {grown} KiB more after {connections} connections");
        }
        subject.plugin.shut_down().await;
    }
}

/// The growth of allocators without a leak. A leak of more than 1 KiB for each connection is found.
const ALLOWED_KIB: u64 = 800;

/// The number of connections, half of them in each direction.
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn connections() -> usize {
    std::env::var("RPCPLUGIN_BROKERED").map_or(800, |number| number.parse().expect("a number"))
}

/// A plugin and the directory of its sockets.
struct Subject {
    plugin: Plugin,
    sockets: TempDir,
}

/// The resources of both processes.
#[derive(Debug)]
struct Use {
    host: Process,
    plugin: Process,
    /// The number of files in the directory of sockets.
    sockets: usize,
}

#[derive(Debug, Clone, Copy)]
struct Process {
    descriptors: usize,
    /// In KiB.
    memory: u64,
}

impl Subject {
    async fn launch(multiplexed: bool) -> Self {
        let sockets = TempDir::new_in("/tmp").unwrap();
        let host = Host::new(cookie(), Versions::new([1]).unwrap()).configure(|config| {
            config.tls = HostTls::Plaintext;
            config.multiplex = multiplexed;
            config.unix_socket_dir = Some(sockets.path().to_owned());
        });
        let plugin = host.launch(kit().args(["--log-level", "warn"])).await.unwrap();
        Self { plugin, sockets }
    }

    /// Makes and drops connections, half of them dialled by the plugin, half by the host.
    async fn make_and_drop(&self, connections: usize) {
        let broker = self.plugin.broker();
        for n in 0..connections / 2 {
            let served = serve_host_calls(broker).await;
            let request =
                CallbackRequest { broker_id: served.id().0, calls: 1, ..CallbackRequest::default() };
            self.kit().callback(request).await.unwrap();
            // A service ends by a stop or by a drop.
            if n % 2 == 0 {
                served.stop().await;
            }

            let opened = self.kit().open_sub(OpenSubRequest { label: "flat".to_owned() }).await.unwrap();
            let channel = broker.dial(ServiceId(opened.get_ref().broker_id)).await.unwrap();
            let mut sub = SubClient::new(channel);
            sub.greet(GreetRequest { name: "you".to_owned() }).await.unwrap();
            sub.close(CloseRequest {}).await.unwrap();
        }
    }

    /// The resources once the last connections are closed, which happens in the background.
    async fn settled(&self) -> Use {
        let mut last = self.measure();
        let mut unchanged_since = Instant::now();
        while unchanged_since.elapsed() < Duration::from_millis(300) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let now = self.measure();
            let counts = |it: &Use| (it.host.descriptors, it.plugin.descriptors, it.sockets);
            if counts(&now) != counts(&last) {
                unchanged_since = Instant::now();
            }
            last = now;
        }
        last
    }

    fn measure(&self) -> Use {
        Use {
            host: Process::of(std::process::id()),
            plugin: Process::of(self.plugin.pid().unwrap().get()),
            sockets: files(self.sockets.path()),
        }
    }

    fn kit(&self) -> KitClient<PluginChannel> {
        KitClient::new(self.plugin.channel())
    }
}

impl Process {
    fn of(pid: u32) -> Self {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self { descriptors, memory: memory.trim().trim_end_matches(" kB").parse().unwrap() }
    }
}

/// Counts the files below a directory.
fn files(dir: &Path) -> usize {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|entry| 1 + files(&entry.path())).sum()
}

async fn serve_host_calls(broker: &Broker) -> ServiceHandle {
    broker.serve(Services::new().add(HostCallsServer::new(Nothing))).await.unwrap()
}

/// `HostCalls` that adds one to the number of the call.
struct Nothing;

#[tonic::async_trait]
impl HostCalls for Nothing {
    async fn transform(
        &self,
        request: Request<TransformRequest>,
    ) -> Result<Response<TransformResponse>, Status> {
        let seq = request.get_ref().seq + 1;
        Ok(Response::new(TransformResponse { seq, ..TransformResponse::default() }))
    }
}
