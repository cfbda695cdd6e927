//! Supervised plugins.

use std::{
    error::Error as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rpcplugin::host::ProgramFault;
use rpcplugin::{
    Command, Exit, Host,
    config::RetryConfig,
    host::{
        ChildProcess, Event, Events, ExitReason, Generation, LaunchEnvironment, LaunchFault, PluginExited,
        Runner, StartedProcess, SuperviseError, SupervisionState, WhileDown,
    },
};
use rpcplugin_tests::{
    pb::{
        EchoRequest, ExitRequest, GetRequest, InfoRequest, PutRequest, SleepRequest, kit_client::KitClient,
    },
    support::{
        TIMEOUT,
        conformance::kit,
        process::{eventually_gone, send, state, suspend},
        wait::eventually,
    },
};
use rustix::process::Signal;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tonic::{Code, Request};

use crate::support::TestHost;

/// A host that restarts its plugins immediately, at most this many times.
fn restarting_host(restarts: u32) -> TestHost {
    TestHost::configured(|host| supervising(host, restarts))
}

fn supervising(host: Host, restarts: u32) -> Host {
    host.configure(|config| {
        config.supervision.max_restarts = restarts;
        config.supervision.initial = Duration::from_millis(1);
        config.supervision.max = Duration::from_millis(5);
    })
}

/// The next event that is not of the log.
async fn next(events: &mut Events) -> Event {
    let found = async {
        loop {
            match events.next().await.unwrap().event {
                Event::Log(_) | Event::StillWaiting { .. } => {}
                event => return event,
            }
        }
    };
    timeout(TIMEOUT, found).await.unwrap()
}

async fn later(supervised: &rpcplugin::host::Supervised, than: u64) -> Generation {
    timeout(TIMEOUT, supervised.later_generation(than)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_fifty_times_under_load() {
    const KILLS: u64 = 50;
    let test_host = restarting_host(1000);
    let supervised = test_host.host.supervise(kit()).await.unwrap();
    let (answered, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));

    let callers: Vec<_> = (0..4)
        .map(|_| {
            let mut kit = KitClient::new(supervised.channel());
            let (answered, failed) = (Arc::clone(&answered), Arc::clone(&failed));
            tokio::spawn(async move {
                loop {
                    match kit.echo(EchoRequest { data: b"data".to_vec().into() }).await {
                        Ok(answer) => {
                            assert_eq!(answer.get_ref().data, b"data"[..]);
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(status) => {
                            let ended =
                                status.source().and_then(|cause| cause.downcast_ref::<PluginExited>());
                            let ended = ended.unwrap_or_else(|| panic!("unexplained: {status:?}"));
                            assert_eq!(ended.reason, ExitReason::Signal(rpcplugin::host::Signal::KILL));
                            assert_eq!(status.code(), Code::Unavailable);
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            })
        })
        .collect();

    let mut pids = Vec::new();
    for number in 0..KILLS {
        let generation = later(&supervised, number).await;
        assert_eq!(generation.number(), number + 1);
        // The channel has used this generation before it is killed.
        let before = answered.load(Ordering::Relaxed);
        timeout(TIMEOUT, async {
            while answered.load(Ordering::Relaxed) < before + 10 {
                assert!(callers.iter().all(|caller| !caller.is_finished()), "a caller has failed");
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap();
        let pid = generation.plugin().pid.unwrap();
        pids.push(pid);
        send(pid, Signal::KILL);
    }
    later(&supervised, KILLS).await;
    for caller in callers {
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled(), "a caller has failed");
    }
    let mut kit = KitClient::new(supervised.channel());
    kit.echo(EchoRequest::default()).await.unwrap();
    assert!(failed.load(Ordering::Relaxed) > 0, "no call was in flight at any of the kills");

    assert_eq!(supervised.shut_down().await, Some(Exit::Clean));
    pids.into_iter().for_each(eventually_gone);
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn events_report_every_generation_and_the_end() {
    let test_host = restarting_host(1);
    let supervised = test_host.host.supervise(kit()).await.unwrap();
    let mut events = supervised.events();
    let mut kit = KitClient::new(supervised.channel());
    for status in [3, 4] {
        let failed = kit.exit(ExitRequest { code: status }).await.unwrap_err();
        assert!(failed.message().ends_with(&format!("exit status {status}")), "{failed:?}");
        assert!(matches!(next(&mut events).await, Event::Started { .. }));
        assert!(matches!(next(&mut events).await, Event::Ready { .. }));
        let reason = ExitReason::Status(status);
        assert_eq!(next(&mut events).await, Event::Exited { reason });
        if status == 3 {
            assert!(matches!(next(&mut events).await, Event::Restarting { attempt: 1, .. }));
        }
    }
    assert_eq!(next(&mut events).await, Event::GaveUp { restarts: 1 });
    let refused = kit.echo(EchoRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("was given up"), "{refused:?}");
    assert!(refused.message().contains("exit status 4"), "{refused:?}");
    assert!(matches!(supervised.state(), SupervisionState::GaveUp { .. }));
    assert!(supervised.generation().is_none() && supervised.later_generation(0).await.is_none());
    assert_eq!(supervised.shut_down().await, None);
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn calls_wait_for_the_next_generation_or_fail_as_they_choose() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| {
            config.supervision.initial = Duration::from_secs(2);
            config.supervision.multiplier = 1.0;
        })
    });
    let supervised = test_host.host.supervise(kit()).await.unwrap();
    let mut kit = KitClient::new(supervised.channel());
    kit.put(PutRequest { key: "k".to_owned(), value: b"v".to_vec().into() }).await.unwrap();
    kit.exit(ExitRequest { code: 5 }).await.unwrap_err();

    let mut hasty = KitClient::new(supervised.channel_while_down(WhileDown::Fail));
    let refused = hasty.echo(EchoRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("being started again"), "{refused:?}");

    let brief = WhileDown::Wait(Duration::from_millis(20));
    let mut brief = KitClient::new(supervised.channel_while_down(brief));
    let refused = brief.echo(EchoRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("exit status 5"), "{refused:?}");

    let mut limited = Request::new(EchoRequest::default());
    limited.set_timeout(Duration::from_millis(20));
    let late = kit.echo(limited).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(late.message().contains("exit status 5"), "{late:?}");

    // A call that waits long enough is answered by the new process, which does not have the state of the old one.
    let missing = timeout(TIMEOUT, kit.get(GetRequest { key: "k".to_owned() })).await.unwrap().unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert_eq!(later(&supervised, 1).await.number(), 2);
    supervised.shut_down().await;
}

#[tokio::test]
async fn the_wait_of_a_call_counts_against_its_deadline() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| config.supervision.initial = Duration::from_millis(500))
    });
    let supervised = test_host.host.supervise(kit()).await.unwrap();
    let mut kit = KitClient::new(supervised.channel());
    kit.exit(ExitRequest { code: 1 }).await.unwrap_err();
    let begun = Instant::now();
    let mut sleeping = Request::new(SleepRequest { ms: 600_000 });
    sleeping.set_timeout(Duration::from_secs(5));
    timeout(TIMEOUT, kit.sleep(sleeping)).await.unwrap().unwrap_err();
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
    supervised.shut_down().await;
}

#[tokio::test]
async fn a_plugin_that_hangs_is_replaced() {
    let test_host = TestHost::configured(|host| {
        supervising(host, 5).configure(|config| {
            config.supervision.probe_interval = Some(Duration::from_millis(20));
            config.supervision.probe_timeout = Duration::from_secs(2);
        })
    });
    let supervised = test_host.host.supervise(kit()).await.unwrap();
    let mut events = supervised.events();
    let first = supervised.generation().unwrap();
    let pid = first.plugin().pid.unwrap();
    let mut kit = KitClient::new(supervised.channel());
    kit.info(InfoRequest {}).await.unwrap();
    suspend(pid).unwrap();
    // This call hangs with the process, and fails when it is killed.
    let hung = timeout(TIMEOUT, kit.echo(EchoRequest::default())).await.unwrap().unwrap_err();
    assert!(hung.message().contains("signal 9"), "{hung:?}");
    loop {
        if let Event::Hung { after } = next(&mut events).await {
            assert_eq!(after, Duration::from_secs(2));
            break;
        }
    }
    let second = later(&supervised, 1).await;
    let answer = kit.info(InfoRequest {}).await.unwrap();
    assert_eq!(
        u32::try_from(answer.get_ref().pid).ok().and_then(rpcplugin::host::Pid::new),
        second.plugin().pid
    );
    assert_eq!(state(pid), None);
    supervised.shut_down().await;
}

#[tokio::test]
async fn every_generation_is_set_up_before_calls_reach_it() {
    let test_host = restarting_host(5);
    let received = Arc::new(AtomicU32::new(0));
    let supervised = test_host.host.supervise(kit()).on_start({
        let received = Arc::clone(&received);
        move |generation: Generation| {
            let received = Arc::clone(&received);
            async move {
                if received.fetch_add(1, Ordering::Relaxed) == 1 {
                    return Err(tonic::Status::internal("the second generation fails"));
                }
                let value = generation.number().to_string().into_bytes().into();
                let put = PutRequest { key: "generation".to_owned(), value };
                KitClient::new(generation.channel()).put(put).await.map(drop)
            }
        }
    });
    let supervised = supervised.await.unwrap();
    let mut client = KitClient::new(supervised.channel());
    for number in ["1", "3"] {
        let get = GetRequest { key: "generation".to_owned() };
        let value = client.get(get).await.unwrap().into_inner().value;
        assert_eq!(String::from_utf8_lossy(&value), number);
        client.exit(ExitRequest { code: 1 }).await.unwrap_err();
    }
    supervised.shut_down().await;
    assert!(test_host.is_clean());

    let refused = test_host.host.supervise(kit()).on_start(|_| async { Err("not today") }).await.unwrap_err();
    assert!(matches!(refused, SuperviseError::Setup { .. }), "{refused:?}");
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn a_first_launch_that_fails_is_an_immediate_error() {
    let test_host = restarting_host(5);
    let refused = test_host.host.supervise(Command::new("/bin/true")).await.unwrap_err();
    assert!(matches!(refused, SuperviseError::Launch(_)), "{refused:?}");
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn a_requested_restart_is_clean_and_uses_no_budget() {
    let test_host = restarting_host(0);
    let supervised = test_host.host.supervise(kit()).await.unwrap();
    let mut events = supervised.events();
    assert!(timeout(TIMEOUT, supervised.restart()).await.unwrap());
    let mut kit = KitClient::new(supervised.channel());
    kit.echo(EchoRequest::default()).await.unwrap();
    assert_eq!(supervised.generation().map(|generation| generation.number()), Some(2));
    loop {
        if let Event::Exited { reason } = next(&mut events).await {
            assert!(reason.is_success(), "{reason}");
            break;
        }
    }
    assert_eq!(supervised.shut_down().await, Some(Exit::Clean));
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn a_shutdown_between_generations_is_immediate() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| {
            config.supervision.initial = Duration::from_secs(600);
            config.supervision.max = Duration::from_secs(600);
        })
    });
    let supervised = test_host.host.supervise(kit()).await.unwrap();
    let channel = supervised.channel();
    KitClient::new(channel.clone()).exit(ExitRequest { code: 1 }).await.unwrap_err();
    let waiting = tokio::spawn({
        let mut kit = KitClient::new(channel);
        async move { kit.echo(EchoRequest::default()).await }
    });
    timeout(TIMEOUT, async {
        while !matches!(supervised.state(), SupervisionState::Restarting { .. }) {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(timeout(TIMEOUT, supervised.shut_down()).await.unwrap(), None);
    let refused = timeout(TIMEOUT, waiting).await.unwrap().unwrap().unwrap_err();
    assert!(refused.message().contains("stopped by its host"), "{refused:?}");
    assert!(test_host.is_clean());
}

/// A runner of the conformance plugin that fails with the fault for the number of the start. From the second start on, it waits
/// for the test.
struct FaultyRunner {
    starts: Arc<AtomicU64>,
    faults: fn(u64) -> Option<LaunchFault>,
    may_start: Arc<Semaphore>,
}

impl FaultyRunner {
    fn new(faults: fn(u64) -> Option<LaunchFault>) -> Self {
        Self { starts: Arc::default(), faults, may_start: Arc::new(Semaphore::new(0)) }
    }
}

impl Runner for FaultyRunner {
    type Process = ChildProcess;

    fn program(&self) -> PathBuf {
        "faulty".into()
    }

    async fn start(
        &self,
        surroundings: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        let start = self.starts.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(fault) = (self.faults)(start) {
            return Err(fault);
        }
        if start > 1 {
            let _may_start = self.may_start.acquire().await;
        }
        kit().start(surroundings).await
    }
}

#[tokio::test]
async fn a_restart_during_a_start_joins_that_start() {
    let test_host = restarting_host(5);
    let faulty = FaultyRunner::new(|_| None);
    let (starts, may_start) = (Arc::clone(&faulty.starts), Arc::clone(&faulty.may_start));
    let supervised = test_host.host.supervise_with(faulty).await.unwrap();
    send(supervised.generation().unwrap().plugin().pid.unwrap(), Signal::KILL);
    eventually("the plugin is started again", || starts.load(Ordering::SeqCst) == 2).await;
    let mut restart = Box::pin(supervised.restart());
    let early = timeout(Duration::from_millis(50), &mut restart).await;
    assert!(early.is_err(), "the supervisor neither gives up nor shuts down: {early:?}");
    may_start.add_permits(1);
    assert!(timeout(TIMEOUT, restart).await.unwrap());
    assert_eq!((starts.load(Ordering::SeqCst), later(&supervised, 1).await.number()), (2, 2));
    supervised.shut_down().await;
}

#[tokio::test]
async fn permanent_faults_use_no_budget() {
    let test_host = restarting_host(5);
    let gone = |start| {
        (start > 1).then(|| LaunchFault::Program(ProgramFault::NotFound { program: "faulty".into() }))
    };
    let faulty = FaultyRunner::new(gone);
    let starts = Arc::clone(&faulty.starts);
    let supervised = test_host.host.supervise_with(faulty).await.unwrap();
    let mut events = supervised.events();
    send(supervised.generation().unwrap().plugin().pid.unwrap(), Signal::KILL);
    loop {
        match next(&mut events).await {
            Event::GaveUp { restarts } => break assert_eq!(restarts, 1),
            Event::Restarting { attempt, .. } => assert_eq!(attempt, 1),
            _ => {}
        }
    }
    assert_eq!(starts.load(Ordering::SeqCst), 2);
    assert!(!timeout(TIMEOUT, supervised.restart()).await.unwrap());
    let refused = KitClient::new(supervised.channel()).echo(EchoRequest::default()).await.unwrap_err();
    assert!(refused.message().contains("there is no program faulty"), "{refused:?}");
}

#[tokio::test]
async fn the_first_launch_follows_the_retry_settings() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| {
            let mut retry = RetryConfig::default();
            (retry.max_retries, retry.initial) = (2, Duration::from_millis(1));
            config.retry = Some(retry);
        })
    });
    let faulty = FaultyRunner::new(|start| (start == 1).then(|| LaunchFault::runner("not yet")));
    let (starts, may_start) = (Arc::clone(&faulty.starts), Arc::clone(&faulty.may_start));
    may_start.add_permits(1);
    let supervised = test_host.host.supervise_with(faulty).await.unwrap();
    assert_eq!((starts.load(Ordering::SeqCst), supervised.generation().unwrap().number()), (2, 1));
    supervised.shut_down().await;
}

/// A runner that starts the conformance plugin as a process, and counts the starts.
struct Counting(Arc<AtomicU64>);

impl Runner for Counting {
    type Process = ChildProcess;

    fn program(&self) -> PathBuf {
        "counting".into()
    }

    async fn start(
        &self,
        surroundings: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        self.0.fetch_add(1, Ordering::SeqCst);
        kit().start(surroundings).await
    }
}

#[tokio::test]
async fn processes_of_another_runner_are_supervised_too() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| config.supervision.initial = Duration::from_millis(1))
    });
    let started = Arc::new(AtomicU64::new(0));
    let supervised = test_host.host.supervise_with(Counting(Arc::clone(&started))).await.unwrap();
    for number in 0..3 {
        let generation = timeout(TIMEOUT, supervised.later_generation(number)).await.unwrap().unwrap();
        assert_eq!(started.load(Ordering::SeqCst), number + 1);
        KitClient::new(supervised.channel()).echo(EchoRequest::default()).await.unwrap();
        send(generation.plugin().pid.unwrap(), Signal::KILL);
    }
    timeout(TIMEOUT, supervised.later_generation(3)).await.unwrap().unwrap();
    assert_eq!(supervised.shut_down().await, Some(Exit::Clean));
    assert_eq!(started.load(Ordering::SeqCst), 4);
    assert!(test_host.is_clean());
}
