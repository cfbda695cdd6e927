//! A supervised plugin that is killed and restarted while it is called.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use rpcplugin::{Exit, error::PlainReport, host::Supervised};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    os,
    soak::{
        caller::Caller,
        calls, launching,
        plan::{Language, LifeId, rng},
        world::{DEADLINE, World},
    },
};

/// Supervises a plugin, and ends some of its generations.
pub(crate) async fn live(world: &Arc<World>, id: &LifeId, language: Language) {
    let rng = &mut rng(world.seed, id);
    let mode = crate::soak::plan::Mode { auto_mtls: rng.bool(), mux: rng.bool(), ..Default::default() };
    let who = format!("life {id} (supervised {language:?}, {mode:?})");
    let host = launching::host(world, mode).configure(|config| {
        config.supervision.max_restarts = 10_000;
        config.supervision.initial = Duration::from_millis(5);
        config.supervision.max = Duration::from_millis(50);
    });
    let since = world.weather();
    let supervised = match host.supervise(launching::command(world, language)).await {
        Ok(supervised) => supervised,
        Err(error) if world.was_calm(since) => {
            return world.broken(who, format_args!("not launched: {}", PlainReport(&error)));
        }
        // Other slots try again too.
        Err(_) => return sleep(Duration::from_millis(100)).await,
    };
    world.counts.launches.fetch_add(1, Relaxed);
    let ends = (0..rng.usize(2..6)).map(|_| rng.u8(..3) == 0).collect::<Vec<_>>();
    let (over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let caller = Caller::new(world, supervised.channel(), &who);
    // A generation may end at any time. Then a call fails with UNAVAILABLE, or waits for the next generation.
    caller.plugin_ends();
    let mut callers = JoinSet::new();
    for _ in 0..2 {
        let (caller, over, rounds) = (caller.clone(), Arc::clone(&over), Arc::clone(&rounds));
        let mut rng = rng.fork();
        callers.spawn(async move {
            while !over.load(SeqCst) {
                calls::echo(&caller, &mut rng).await;
                rounds.fetch_add(1, SeqCst);
            }
        });
    }
    for restarts in ends {
        end_generation(&caller, &supervised, &rounds, restarts).await;
    }
    over.store(true, SeqCst);
    while callers.join_next().await.is_some() {}
    match timeout(DEADLINE, supervised.shut_down()).await {
        Ok(Some(Exit::Clean)) => {}
        other => world.broken(&who, format_args!("the supervised plugin ended in another way: {other:?}")),
    }
}

/// Kills or restarts the current generation, and waits until the next one answers calls.
async fn end_generation(caller: &Caller, supervised: &Supervised, rounds: &AtomicU64, restart: bool) {
    let counts = &caller.world.counts;
    let Some(generation) = supervised.generation() else { return caller.broken("there is no generation") };
    let before = rounds.load(SeqCst);
    let deadline = Instant::now() + DEADLINE;
    while rounds.load(SeqCst) < before + 20 {
        if Instant::now() > deadline {
            return caller.broken("the callers of a supervised plugin stand still");
        }
        sleep(Duration::from_millis(1)).await;
    }
    if restart {
        counts.fault("restart asked for");
        supervised.restart().await;
    } else {
        counts.fault("SIGKILL of a supervised plugin");
        let killed = generation.plugin().pid.map(os::kill);
        if !matches!(killed, Some(Ok(()))) {
            return caller.broken(format_args!("SIGKILL: {killed:?}"));
        }
    }
    match timeout(3 * DEADLINE, supervised.later_generation(generation.number())).await {
        Ok(Some(_)) => {
            counts.restarts.fetch_add(1, Relaxed);
            counts.launches.fetch_add(1, Relaxed);
        }
        other => {
            caller.broken(format_args!("there is no later generation: {:?}", other.map(|one| one.is_some())))
        }
    }
}
