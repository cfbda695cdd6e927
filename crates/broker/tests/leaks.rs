//! A thousand brokered connections leave nothing behind.
//!
//! Alone in its process, because it counts the process's file descriptors.
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
        // When this is answered, both sides of the main connection are up.
        let first = pair.plugin.serve(services.clone()).await.expect("served");
        ask(pair.host.dial(first.id()).await.expect("dialled"), "mine").await.expect("answered");
        first.stop().await;
        let (before, running) = (descriptors(), tasks());
        for n in 0..500 {
            for (acceptor, dialer) in pair.directions() {
                let served = acceptor.serve(services.clone()).await.expect("served");
                let channel = dialer.dial(served.id()).await.expect("dialled");
                ask(channel, "mine").await.expect("answered");
                // Both ways of ending.
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
