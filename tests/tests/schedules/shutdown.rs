//! A plugin that is shut down while calls are in flight.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use futures_util::poll;
use rpcplugin::Exit;
use rpcplugin_tests::pb::{GreetRequest, sub_client::SubClient};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tonic::Code;

use crate::{
    chaos::{Chaos, explore},
    in_memory::{Calls, InMemory, host},
};

/// How long the plugin lets calls go on.
const GRACE: Duration = Duration::from_millis(500);

/// How long a shutdown may take beyond that: the streams are disturbed.
const LATE: Duration = Duration::from_millis(400);

/// A handler that takes longer than the plugin waits.
const TOO_LONG: u64 = 10_000;

#[test]
fn a_shutdown_answers_or_fails_each_call_in_flight() {
    explore("shutdown", run);
}

async fn run(chaos: Chaos) {
    let calls = Calls::default();
    let runner = InMemory::new(&chaos, &calls, GRACE);
    let plugin = host(|_| {}).launch_with(&runner).await.unwrap();
    let ends = Arc::<AtomicBool>::default();
    let mut callers = JoinSet::new();
    for number in 0..chaos.draw(|rng| rng.u32(1..8)) {
        let (chaos, calls, mut sub) = (chaos.clone(), calls.clone(), SubClient::new(plugin.channel()));
        let ends = Arc::clone(&ends);
        callers.spawn(async move {
            chaos.pause().await;
            let millis =
                if chaos.draw(|rng| rng.u8(..5)) == 0 { TOO_LONG } else { chaos.draw(|rng| rng.u64(..100)) };
            let name = format!("{millis} {number}");
            let mut call = pin!(sub.greet(GreetRequest { name: name.clone() }));
            // The first poll sends the call.
            let first = poll!(call.as_mut());
            let is_first = !ends.load(Relaxed);
            let answer = match first {
                Poll::Ready(answer) => answer,
                Poll::Pending => call.await,
            };
            let began = calls.began(&name);
            assert!(began <= 1, "call {name} was made {began} times");
            match answer {
                Ok(answer) => {
                    assert_eq!((answer.into_inner().text, began), (name, 1));
                    assert!(millis < TOO_LONG, "the plugin waited for too long");
                }
                Err(status) => {
                    assert!(
                        matches!(status.code(), Code::Unavailable | Code::Cancelled),
                        "{name}: {status:?}"
                    );
                    // A call that was made before the shutdown, or whose handler began, is waited for within the grace.
                    let is_owed = is_first || began > 0;
                    assert!(!is_owed || millis == TOO_LONG, "call {name} lost its answer: {status:?}");
                }
            }
        });
    }
    chaos.pause().await;
    ends.store(true, Relaxed);
    let begun = Instant::now();
    let exit = timeout(Duration::from_secs(30), plugin.shut_down_within(Duration::from_secs(10))).await;
    assert_eq!(exit.expect("the shutdown ends"), Exit::Clean);
    assert!(begun.elapsed() < GRACE + LATE, "the shutdown took {:?}", begun.elapsed());
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
}
