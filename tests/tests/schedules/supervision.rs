//! A supervised plugin that is killed and restarted while it is called.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rpcplugin::host::{Supervised, SupervisionState};
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

#[test]
fn calls_and_restarts_of_a_supervised_plugin_in_any_order() {
    explore("supervision", run);
}

/// The kills and restarts of a schedule.
#[derive(Default)]
struct Ends {
    count: AtomicU32,
    /// The last generation that one of them may still end.
    last: AtomicU64,
    /// When the last exit after a kill was reported to the host.
    exited: Arc<Mutex<Option<Instant>>>,
}

impl Ends {
    /// To be called before each of them.
    fn begins(&self, supervised: &Supervised) {
        self.count.fetch_add(1, Relaxed);
        // While there is no generation, it may be any later one.
        let last = supervised.generation().map_or(u64::MAX, |generation| generation.number());
        self.last.store(last, Relaxed);
        *self.exited.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// There will be no further generation.
    fn are_over(&self) {
        self.count.fetch_add(1, Relaxed);
        self.last.store(u64::MAX, Relaxed);
    }

    /// Whether a call that is made now may lose its generation by those that have begun.
    fn are_due(&self, supervised: &Weak<Supervised>) -> bool {
        let generation = supervised.upgrade().and_then(|supervised| supervised.generation());
        let last = self.last.load(Relaxed);
        // Once the supervision knows of the exit, calls wait for the next generation.
        let exited = *self.exited.lock().unwrap_or_else(PoisonError::into_inner);
        if last < u64::MAX && exited.is_some_and(|exited| exited.elapsed() > NOTICED) {
            return false;
        }
        generation.map_or(last == u64::MAX, |generation| generation.number() <= last)
    }
}

/// How long the supervision takes to know of an exit.
const NOTICED: Duration = Duration::from_millis(1);

async fn run(chaos: Chaos) {
    let calls = Calls::default();
    let runner = InMemory::new(&chaos, &calls, Duration::from_millis(100));
    let (kill, exited) = (Arc::clone(&runner.kill), Arc::clone(&runner.exited));
    let host = host(|config| {
        config.supervision.max_restarts = 100;
        config.supervision.initial = chaos.millis(20);
        config.supervision.max = Duration::from_millis(50);
    });
    let supervised = Arc::new(host.supervise_with(runner).await.unwrap());
    let ends = Arc::new(Ends { exited, ..Ends::default() });
    let mut callers = JoinSet::new();
    for number in 0..chaos.draw(|rng| rng.u32(1..4)) {
        let (chaos, calls, mut sub) = (chaos.clone(), calls.clone(), SubClient::new(supervised.channel()));
        let (ends, weak) = (Arc::clone(&ends), Arc::downgrade(&supervised));
        callers.spawn(async move {
            for nth in 0..chaos.draw(|rng| rng.u32(1..6)) {
                let name = format!("{} {number} {nth}", chaos.draw(|rng| rng.u64(..30)));
                let (count, are_due) = (ends.count.load(Relaxed), ends.are_due(&weak));
                let answer = sub.greet(GreetRequest { name: name.clone() });
                let answer = timeout(Duration::from_secs(120), answer).await.expect("the call ends");
                let began = calls.began(&name);
                assert!(began <= 1, "call {name} was made {began} times");
                match answer {
                    Ok(answer) => assert_eq!((answer.into_inner().text, began), (name, 1)),
                    Err(status) => {
                        assert_eq!(status.code(), Code::Unavailable, "{name}: {status:?}");
                        // A call waits while the plugin is down. It fails only with its generation.
                        let has_reason = are_due || ends.count.load(Relaxed) > count;
                        assert!(has_reason, "{name} failed without a reason: {status:?}");
                    }
                }
                chaos.pause().await;
            }
        });
    }
    for _ in 0..chaos.draw(|rng| rng.u8(..4)) {
        chaos.pause().await;
        let before = supervised.generation().map(|generation| generation.number());
        let is_calm = before.is_some() && !ends.are_due(&Arc::downgrade(&supervised));
        ends.begins(&supervised);
        match chaos.draw(|rng| rng.u8(..4)) {
            // Both mean the same generation.
            0 => {
                let (one, other) = tokio::join!(supervised.restart(), supervised.restart());
                assert!(one && other, "the plugin is restarted");
                if is_calm {
                    let after = supervised.generation().map(|generation| generation.number());
                    assert_eq!(after, before.map(|number| number + 1), "it is restarted once");
                }
            }
            1 => assert!(supervised.restart().await, "the plugin is restarted"),
            _ => kill.lock().unwrap_or_else(PoisonError::into_inner).notify_one(),
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
    ends.are_over();
    let supervised = Arc::into_inner(supervised).expect("callers keep it for no time");
    timeout(Duration::from_secs(120), supervised.shut_down()).await.expect("the shutdown ends");
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
}
