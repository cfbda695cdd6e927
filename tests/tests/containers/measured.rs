//! Measurements: `cargo xtask containers --measure`.

use std::{process::Stdio, sync::Arc, time::Instant};

use rpcplugin::{Command, host::Stdin};
use rpcplugin_tests::pb::EchoRequest;
use tokio::sync::Semaphore;

use super::*;

/// The number of containers, and how many start at once.
const CONTAINERS: usize = 50;
const AT_ONCE: usize = 8;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a start for each container, some at once, and returns the seconds that each took.
async fn timed<F>(start: impl Fn() -> F + Send + Sync + 'static) -> Vec<f64>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (start, turns) = (Arc::new(start), Arc::new(Semaphore::new(AT_ONCE)));
    let mut tasks = Vec::new();
    for _ in 0..CONTAINERS {
        let (start, turns) = (Arc::clone(&start), Arc::clone(&turns));
        tasks.push(tokio::spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            let begun = Instant::now();
            start().await;
            begun.elapsed().as_secs_f64()
        }));
    }
    let mut seconds = Vec::new();
    for task in tasks {
        seconds.push(task.await.unwrap());
    }
    seconds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo xtask containers --measure"]
async fn measured_launches_beside_podman_run() {
    let place = Arc::new(Place::new());
    // Both once, so that neither pays for what is done once.
    place.launch(&rust()).await.unwrap().shut_down().await;
    run().await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let place = Arc::clone(&place);
        ours.extend(
            timed(move || {
                let place = Arc::clone(&place);
                async move {
                    let plugin = place.launch(&rust()).await.unwrap();
                    plugin.shut_down().await;
                }
            })
            .await,
        );
        theirs.extend(timed(run).await);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{CONTAINERS} containers, {AT_ONCE} at once: launch, handshake, shutdown and removal {:.0} ms, \
         `podman run --rm` {:.0} ms, ratio {:.2}",
        ours * 1e3,
        theirs * 1e3,
        ours / theirs
    );
    assert!(ours / theirs <= 1.15, "slower than podman run");
}

/// `podman run` of the same image with the same walls. Without a cookie the plugin says so and exits at once.
async fn run() {
    let line = format!(
        "run --rm --network none --read-only --cap-drop ALL --security-opt no-new-privileges --log-driver none \
         --tmpfs /tmp {RUST}"
    );
    let mut command = tokio::process::Command::from(podman::podman(&line));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo xtask containers --measure"]
async fn measured_calls_beside_a_child_process() {
    let place = Place::new();
    let program = podman::variable("RPCPLUGIN_TEST_PROGRAM");
    let child = place.host(|_| {}).launch(Command::new(program).stdin(Stdin::Null)).await.unwrap();
    let contained = place.launch(&rust()).await.unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turns, so that other work of the machine slows both.
    for round in 0..40 {
        let inside = p50(&contained).await;
        let outside = p50(&child).await;
        if round > 0 {
            ours.push(inside);
            theirs.push(outside);
        }
    }
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let ratio = median(ratios);
    println!(
        "calls of 64 bytes, p50: container {:.1} µs, child process {:.1} µs, ratio {ratio:.3}",
        median(ours),
        median(theirs)
    );
    child.shut_down().await;
    contained.shut_down().await;
    assert!(ratio <= 1.05, "slower than a child process");
}

/// The median of some calls, in microseconds.
async fn p50(plugin: &Plugin) -> f64 {
    let mut kit = KitClient::new(plugin.channel());
    let data = vec![7; 64];
    let mut times = Vec::with_capacity(500);
    for _ in 0..500 {
        let request = EchoRequest { data: data.clone().into() };
        let begun = Instant::now();
        kit.echo(request).await.unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    median(times)
}
