//! A supervised plugin that is killed and restarted while it is called.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use rpcplugin::host::SupervisionState;
use rpcplugin_tests::pb::{GreetRequest, sub_client::SubClient};
use tokio::{task::JoinSet, time::timeout};
use tonic::Code;

use crate::{
    chaos::{Chaos, explore},
    in_memory::{Calls, InMemory, host},
};

#[test]
fn calls_and_restarts_of_a_supervised_plugin_in_any_order() {
    explore("supervision", run);
}

async fn run(chaos: Chaos) {
    let calls = Calls::default();
    let runner = InMemory::new(&chaos, &calls, Duration::from_millis(100));
    let kill = Arc::clone(&runner.kill);
    let host = host(|config| {
        config.supervision.max_restarts = 100;
        config.supervision.initial = chaos.millis(20);
        config.supervision.max = Duration::from_millis(50);
    });
    let supervised = host.supervise_with(runner).await.unwrap();
    let mut callers = JoinSet::new();
    for number in 0..chaos.draw(|rng| rng.u32(1..4)) {
        let (chaos, calls, mut sub) = (chaos.clone(), calls.clone(), SubClient::new(supervised.channel()));
        callers.spawn(async move {
            for nth in 0..chaos.draw(|rng| rng.u32(1..6)) {
                let name = format!("{} {number} {nth}", chaos.draw(|rng| rng.u64(..30)));
                let answer = sub.greet(GreetRequest { name: name.clone() });
                let answer = timeout(Duration::from_secs(120), answer).await.expect("the call ends");
                let began = calls.began(&name);
                assert!(began <= 1, "call {name} was made {began} times");
                match answer {
                    Ok(answer) => assert_eq!((answer.into_inner().text, began), (name, 1)),
                    Err(status) => assert_eq!(status.code(), Code::Unavailable, "{name}: {status:?}"),
                }
                chaos.pause().await;
            }
        });
    }
    for _ in 0..chaos.draw(|rng| rng.u8(..4)) {
        chaos.pause().await;
        let before = supervised.generation().map(|generation| generation.number());
        if chaos.draw(fastrand::Rng::bool) {
            kill.lock().unwrap_or_else(PoisonError::into_inner).notify_one();
        } else {
            supervised.restart().await;
        }
        if let Some(before) = before.filter(|_| chaos.draw(fastrand::Rng::bool)) {
            let later = timeout(Duration::from_secs(120), supervised.later_generation(before)).await;
            let later = later.expect("there is a later generation").unwrap();
            assert!(later.number() > before);
        }
    }
    if chaos.draw(fastrand::Rng::bool) {
        while let Some(done) = callers.join_next().await {
            done.unwrap();
        }
    }
    assert!(!matches!(supervised.state(), SupervisionState::GaveUp { .. }), "{:?}", supervised.state());
    timeout(Duration::from_secs(120), supervised.shut_down()).await.expect("the shutdown ends");
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
}
