//! The life of one plugin, as its plan has it.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use rpcplugin::{
    Exit, Plugin,
    host::{ExitReason, PluginExited, Signal},
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::timeout,
};
use tonic::{Code, Status};

use crate::{
    os,
    pb::{BigPayloadRequest, CountRequest, EchoRequest, ExitRequest, PanicRequest, SleepRequest},
    soak::{
        brokered,
        caller::{Caller, message, within},
        calls,
        launching::{self, group_is_gone},
        limits::Lowered,
        plan::{End, Language, Life, LifeId, Step, rng},
        world::{DEADLINE, GONE, World},
    },
};

/// Launches the plugin, takes its steps, and ends it.
pub(crate) async fn live(world: &Arc<World>, id: &LifeId, language: Language) {
    let life = Life::draw(world.seed, id, language);
    let who = format!("life {id} ({:?}, {:?}, {:?})", life.language, life.mode, life.end);
    let host = launching::host(world, life.mode);
    let Some(plugin) = launching::launch(world, &who, &host, language).await else { return };
    let Some(pid) = plugin.pid().map(|pid| pid.get()) else { return world.broken(who, "no pid") };
    let caller = Caller::new(world, plugin.channel(), &who);
    calls::echo(&caller, &mut Rng::with_seed(0)).await;
    for step in life.steps {
        take(&caller, &plugin, pid, step).await;
    }
    caller.audit(&mut rng(world.seed, id)).await;
    let ended = timeout(2 * DEADLINE, end(&caller, plugin, pid, life.end, life.language)).await;
    if ended.is_err() {
        world.broken(&who, "the end of the plugin takes too long");
    }
    group_is_gone(world, &who, pid).await;
}

/// Takes one step.
pub(crate) async fn take(caller: &Caller, plugin: &Plugin, pid: u32, step: Step) {
    match step {
        Step::Calls { seed, count, at_once } => calls::unary(caller, seed, count, at_once).await,
        Step::Streams { seed } => calls::streams(caller, seed).await,
        Step::Callback { times, calls, nested } => {
            for _ in 0..times {
                brokered::callback(caller, plugin.broker(), calls, nested).await;
            }
        }
        Step::OpenSub { times, ticks } => {
            for _ in 0..times {
                brokered::open_sub(caller, plugin.broker(), ticks).await;
            }
        }
        Step::Flood { kib } => {
            caller.world.counts.fault("output flooded");
            calls::flood(caller, kib).await;
        }
        Step::Suspend => suspend(caller, pid).await,
        Step::Cancel { after_ms } => {
            caller.world.counts.fault("call given up");
            calls::cancel(caller, Duration::from_millis(after_ms)).await;
        }
        Step::Late { after_ms } => {
            caller.world.counts.fault("deadline passed");
            calls::late(caller, Duration::from_millis(after_ms)).await;
        }
        Step::FewDescriptors => few_descriptors(caller, plugin, pid).await,
    }
}

/// A call of a stopped plugin ends with its deadline, and the next one after SIGCONT is answered.
async fn suspend(caller: &Caller, pid: u32) {
    caller.world.counts.fault("SIGSTOP, SIGCONT");
    if !stopped(caller, pid).await {
        return;
    }
    let limit = Duration::from_millis(200);
    let mut kit = caller.kit.clone();
    let call = message(kit.echo(within(limit, EchoRequest::default())));
    let called = caller.ask("Echo", limit, call).await;
    caller.expect_code("a call of a stopped plugin", called, Code::DeadlineExceeded);
    if let Err(error) = os::resume(pid) {
        caller.broken(format_args!("SIGCONT: {error}"));
    }
    calls::echo(caller, &mut Rng::with_seed(1)).await;
}

/// Stops the plugin. Returns whether it has stopped. If the host cannot see that, the plugin goes on.
async fn stopped(caller: &Caller, pid: u32) -> bool {
    let since = caller.world.weather();
    let stopped = spawn_blocking(move || os::suspend(pid)).await;
    let Err(error) = stopped.unwrap_or_else(|error| Err(error.into())) else { return true };
    let _ = os::resume(pid);
    if caller.world.was_calm(since) {
        caller.broken(format_args!("SIGSTOP: {error}"));
    }
    false
}

/// While the plugin can open no file, its connections and its output work, and further connections fail in time. Then all works
/// again.
async fn few_descriptors(caller: &Caller, plugin: &Plugin, pid: u32) {
    caller.world.counts.fault("no descriptors in the plugin");
    match Lowered::files_of(pid) {
        Ok(lowered) => {
            calls::unary(caller, 1, 5, 1).await;
            calls::flood(caller, 4).await;
            if let Some(Err(failed)) = brokered::try_open_sub(caller, plugin.broker(), 1).await {
                caller.world.counts.code(format_args!("{:?} without descriptors", failed.status.code()));
            }
            drop(lowered);
        }
        Err(error) => caller.broken(format_args!("the limit of files: {error}")),
    }
    brokered::open_sub(caller, plugin.broker(), 1).await;
}

/// Ends the plugin, and compares how it ended.
async fn end(caller: &Caller, plugin: Plugin, pid: u32, end: End, language: Language) {
    let faults = &caller.world.counts;
    match end {
        End::ShutDown => {
            faults.fault("shut down");
            expect(caller, &plugin.shut_down().await, |exit| *exit == Exit::Clean);
        }
        End::Drop => {
            faults.fault("handle dropped");
            drop(plugin);
        }
        End::Kill => {
            faults.fault("SIGKILL");
            kill(caller, pid);
            exited(caller, &plugin, |reason| *reason == ExitReason::Signal(Signal::KILL)).await;
            gone(caller).await;
            expect(caller, &plugin.shut_down().await, |exit| {
                *exit == Exit::Failed(ExitReason::Signal(Signal::KILL))
            });
        }
        End::KillBusy => {
            faults.fault("SIGKILL with calls in flight");
            kill_busy(caller, &plugin, pid).await;
        }
        End::Exit(code) => {
            faults.fault("exit in a call");
            caller.plugin_ends();
            let mut kit = caller.kit.clone();
            let call = message(kit.exit(within(DEADLINE, ExitRequest { code })));
            explained(
                caller,
                caller.ask("Exit", DEADLINE, call).await.map(|called| called.map_err(|f| f.status)),
            );
            exited(caller, &plugin, |reason| *reason == ExitReason::Status(code)).await;
            gone(caller).await;
        }
        End::Panic => {
            faults.fault("panic in a call");
            caller.plugin_ends();
            let mut kit = caller.kit.clone();
            let message_of_panic = PanicRequest { message: "the host asked for it".to_owned() };
            let call = message(kit.panic(within(DEADLINE, message_of_panic)));
            explained(
                caller,
                caller.ask("Panic", DEADLINE, call).await.map(|called| called.map_err(|f| f.status)),
            );
            exited(caller, &plugin, |reason| !reason.is_success()).await;
            gone(caller).await;
        }
        End::SuspendedShutDown => {
            faults.fault("shut down while stopped");
            if stopped(caller, pid).await {
                let exit = plugin.shut_down_within(Duration::from_millis(100)).await;
                expect(caller, &exit, |exit| matches!(exit, Exit::Killed { .. }));
            }
        }
        End::Memory => memory(caller, plugin, pid, language).await,
    }
}

/// Kills the plugin while calls and a stream are in flight. Each ends, and its status explains why.
async fn kill_busy(caller: &Caller, plugin: &Plugin, pid: u32) {
    let mut flying = JoinSet::new();
    for _ in 0..4 {
        let caller = caller.clone();
        flying.spawn(async move {
            let mut kit = caller.kit.clone();
            let call = message(kit.sleep(within(DEADLINE, SleepRequest { ms: 60_000 })));
            let called = caller.ask("Sleep", DEADLINE, call).await;
            explained(&caller, called.map(|called| called.map(drop).map_err(|failed| failed.status)));
        });
    }
    let mut kit = caller.kit.clone();
    let request = CountRequest { from: 0, n: -1, pad_bytes: 100, interval_us: 1000 };
    let stream = message(kit.count(within(DEADLINE, request)));
    let Some(mut stream) = caller.answer("Count", caller.ask("Count", DEADLINE, stream).await) else {
        return;
    };
    let first = stream.message().await;
    caller.plugin_ends();
    kill(caller, pid);
    let rest = caller.bounded("the stream of a killed plugin", DEADLINE, async {
        first?;
        while stream.message().await?.is_some() {}
        Ok(())
    });
    explained(caller, rest.await.map(|called| called.map_err(|failed| failed.status)));
    while flying.join_next().await.is_some() {}
    exited(caller, plugin, |reason| *reason == ExitReason::Signal(Signal::KILL)).await;
    gone(caller).await;
}

/// The plugin asks for more memory than it may have. It ends, or refuses the call.
async fn memory(caller: &Caller, plugin: Plugin, pid: u32, language: Language) {
    caller.world.counts.fault("memory limit");
    let since = caller.world.weather();
    let lowered = match Lowered::memory_of(pid, 64 << 20) {
        Ok(lowered) => lowered,
        Err(error) if caller.world.was_calm(since) => {
            return caller.broken(format_args!("the limit of memory: {error}"));
        }
        // The host cannot see how much the plugin has.
        Err(_) => return,
    };
    let mut kit = caller.kit.clone();
    let call = message(kit.big_payload(within(DEADLINE, BigPayloadRequest { n: 1 << 30, seed: 1 })));
    match caller.ask("BigPayload", DEADLINE, call).await {
        Some(Ok(_)) => caller.broken("the plugin has more memory than its limit"),
        Some(Err(failed)) => {
            caller.world.counts.code(format_args!("{:?} without memory", failed.status.code()))
        }
        None => {}
    }
    drop(lowered);
    // An exception of Python ends the call alone.
    if language != Language::Python {
        exited(caller, &plugin, |reason| !reason.is_success()).await;
    }
    plugin.kill().await;
}

fn kill(caller: &Caller, pid: u32) {
    caller.plugin_ends();
    if let Err(error) = os::kill(pid) {
        caller.broken(format_args!("SIGKILL: {error}"));
    }
}

/// A call in flight failed because the process exited, and says so.
fn explained<T>(caller: &Caller, called: Option<Result<T, Status>>) {
    use std::error::Error as _;
    match called {
        Some(Ok(_)) => caller.broken("a call was answered in place of the end of the plugin"),
        Some(Err(status)) => {
            let cause = status.source().and_then(|source| source.downcast_ref::<PluginExited>());
            if status.code() != Code::Unavailable || cause.is_none() {
                caller.broken(format_args!("the status does not report the end of the plugin: {status:?}"));
            }
        }
        None => {}
    }
}

async fn exited(caller: &Caller, plugin: &Plugin, is_right: impl Fn(&ExitReason) -> bool) {
    match timeout(GONE, plugin.wait()).await {
        Ok(reason) if is_right(&reason) => {}
        Ok(reason) => caller.broken(format_args!("the process ended in another way: {reason}")),
        Err(_) => caller.broken("the end of the process is not noticed"),
    }
}

/// A call of a plugin that is gone fails.
async fn gone(caller: &Caller) {
    let mut kit = caller.kit.clone();
    let call = message(kit.echo(within(DEADLINE, EchoRequest::default())));
    let called = caller.ask("Echo", DEADLINE, call).await;
    caller.expect_code("a call of a plugin that is gone", called, Code::Unavailable);
}

fn expect(caller: &Caller, exit: &Exit, is_right: impl Fn(&Exit) -> bool) {
    if !is_right(exit) {
        caller.broken(format_args!("the plugin ended in another way: {exit}"));
    }
}
