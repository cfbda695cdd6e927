//! A thousand brokered connections leave no file descriptor, file or task behind.
//!
//! The test has its own process, because it counts the file descriptors of the process.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "shared with the other tests")]
#[path = "brokers/pair.rs"]
mod pair;

use crate::pair::{KINDS, Pair, ask, eventually, named, tasks};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("readable").count()
}

#[tokio::test]
async fn a_thousand_connections_leave_no_descriptor_no_file_and_no_task() {
    let services = named("mine").await;
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        // After this answer, both sides of the main connection are up.
        let first = pair.plugin.serve(services.clone()).await.expect("served");
        ask(pair.host.dial(first.id()).await.expect("dialled"), "mine").await.expect("answered");
        first.stop().await;
        let (before, running) = (descriptors(), tasks());
        for n in 0..500 {
            for (acceptor, dialer) in pair.directions() {
                let served = acceptor.serve(services.clone()).await.expect("served");
                let channel = dialer.dial(served.id()).await.expect("dialled");
                ask(channel, "mine").await.expect("answered");
                // Every other service is stopped. The others are dropped.
                if n % 2 == 0 {
                    served.stop().await;
                }
            }
        }
        eventually("all descriptors are closed", || descriptors() <= before).await;
        eventually("all tasks have ended", || tasks() <= running).await;
        if !kind.multiplexed {
            assert!(pair.sockets().is_empty());
        }
        pair.close().await;
    }
}
