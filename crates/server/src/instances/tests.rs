//! The life of instances in one process, with a service that is called directly.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::{FutureExt as _, poll};
use rpcplugin_core::InstanceConfiguration;
use tokio::{sync::Notify, time::timeout};
use tonic::Code;

use super::*;

/// A value that counts how many of its kind there are.
struct Counted {
    text: String,
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(text: String, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self { text, alive: Arc::clone(alive) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

fn counted() -> (Instances<Counted>, Arc<AtomicUsize>) {
    let alive = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&alive);
    let instances = Instances::new(move |spec: InstanceSpec| {
        let count = Arc::clone(&count);
        async move {
            match spec.json::<String>()?.as_str() {
                "panic" => panic!("as asked"),
                "refused" => Err(Status::permission_denied("not this one")),
                "missing" => Err(Status::not_found("no such database")),
                "never" => pending().await,
                text => Ok(Counted::new(text.to_owned(), &count)),
            }
        }
    });
    (instances, alive)
}

async fn create<T: Send + Sync + 'static>(
    instances: &Instances<T>,
    id: &str,
    text: &str,
) -> Result<(), Status> {
    let configuration = InstanceConfiguration::json(&text).expect("text is JSON");
    instances.0.create(InstanceSpec::new(InstanceId::new(id).expect("valid"), configuration)).await
}

fn naming(id: &str) -> Request<()> {
    let mut request = Request::new(());
    request.metadata_mut().insert(InstanceId::METADATA_KEY, id.parse().expect("metadata"));
    request
}

/// Waits for the condition, up to a time that no working machine needs.
async fn until(condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), holds).await.expect("it comes to hold");
}

#[tokio::test]
async fn calls_find_their_instance() {
    let (instances, alive) = counted();
    create(&instances, "b", "second").await.expect("made");
    create(&instances, "a", "first").await.expect("made");
    assert_eq!(instances.of(&naming("a")).expect("it exists").text, "first");
    assert_eq!(instances.get("b").expect("it exists").id().as_str(), "b");
    assert_eq!(instances.ids().iter().map(InstanceId::as_str).collect::<Vec<_>>(), ["a", "b"]);
    let unknown = instances.of(&naming("c")).expect_err("it does not exist");
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "the plugin has no instance c"));
    let unnamed = instances.of(&Request::new(())).expect_err("no id");
    assert_eq!(unnamed.code(), Code::InvalidArgument);
    drop(instances);
    assert_eq!(alive.load(SeqCst), 0);
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing() {
    let (instances, alive) = counted();
    let status = create(&instances, "a", "refused").await.expect_err("refused");
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "not this one"));
    let status = create(&instances, "a", "missing").await.expect_err("refused");
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "no such database"));
    let panicked = std::panic::AssertUnwindSafe(create(&instances, "a", "panic")).catch_unwind().await;
    assert!(panicked.is_err());
    let mut cancelled = Box::pin(create(&instances, "a", "never"));
    assert!(poll!(&mut cancelled).is_pending());
    let second = create(&instances, "a", "x").await.expect_err("the first is being made");
    assert_eq!(second.code(), Code::AlreadyExists);
    assert!(instances.get("a").is_none() && instances.ids().is_empty() && !instances.remove("a"));
    drop(cancelled);
    create(&instances, "a", "x").await.expect("the id is free");
    assert_eq!(alive.load(SeqCst), 1);
}

#[tokio::test]
async fn an_id_is_used_once_and_the_number_is_limited() {
    let (instances, alive) = counted();
    let instances = instances.limit(2);
    create(&instances, "a", "x").await.expect("made");
    assert_eq!(create(&instances, "a", "x").await.expect_err("twice").code(), Code::AlreadyExists);
    create(&instances, "b", "x").await.expect("made");
    for number in 0..10_000 {
        let status = create(&instances, &format!("more-{number}"), "x").await.expect_err("too many");
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
    assert_eq!(alive.load(SeqCst), 2);
    assert!(instances.remove("a"));
    until(|| alive.load(SeqCst) == 1).await;
    until(|| create(&instances, "c", "x").now_or_never().is_some_and(|made| made.is_ok())).await;
}

#[tokio::test]
async fn a_removal_waits_for_the_calls_in_flight() {
    let (instances, alive) = counted();
    create(&instances, "a", "x").await.expect("made");
    let call = instances.get("a").expect("it exists");
    let mut removal = Box::pin(instances.0.remove("a", Duration::MAX).expect("it exists").ended());
    assert!(poll!(&mut removal).is_pending());
    assert!(call.is_removed() && instances.get("a").is_none() && !instances.remove("a"));
    let again = create(&instances, "a", "y").await.expect_err("the old one is in use");
    assert_eq!(again.code(), Code::AlreadyExists);
    assert_eq!(call.text, "x");
    drop(call);
    assert_eq!(removal.await, registry::Removed::Unused);
    assert_eq!(alive.load(SeqCst), 0);
    create(&instances, "a", "y").await.expect("the id is free");
}

#[tokio::test(start_paused = true)]
async fn a_removal_waits_no_longer_than_the_grace() {
    let (instances, alive) = counted();
    instances.0.set_grace(Duration::from_secs(5));
    for grace in [Duration::from_millis(100), Duration::MAX] {
        create(&instances, "a", "x").await.expect("made");
        let call = instances.get("a").expect("it exists");
        let begun = tokio::time::Instant::now();
        let removal = instances.0.remove("a", grace).expect("it exists");
        assert_eq!(removal.ended().await, registry::Removed::InUse);
        let elapsed = begun.elapsed();
        assert!(
            elapsed >= grace.min(Duration::from_secs(5)) && elapsed < Duration::from_secs(6),
            "{elapsed:?}"
        );
        assert_eq!((call.text.as_str(), alive.load(SeqCst)), ("x", 1), "the call goes on");
        drop(call);
        assert_eq!(alive.load(SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_function_for_removed_instances_gets_the_value_and_a_limited_time() {
    let (instances, alive) = counted();
    let ended = Arc::new(Mutex::new(Vec::new()));
    let (log, hang) = (Arc::clone(&ended), Arc::new(Notify::new()));
    let instances = instances.on_remove(move |value: Counted| {
        let (log, hang) = (Arc::clone(&log), Arc::clone(&hang));
        async move {
            log.lock().expect("not poisoned").push(value.text.clone());
            match value.text.as_str() {
                "hangs" => hang.notified().await,
                "panics" => panic!("as asked"),
                _ => {}
            }
        }
    });
    for text in ["ends", "hangs", "panics"] {
        create(&instances, "a", text).await.expect("made");
        let removal = instances.0.remove("a", Duration::MAX).expect("it exists");
        assert_eq!(removal.ended().await, registry::Removed::Unused);
        assert_eq!(alive.load(SeqCst), 0);
    }
    assert_eq!(*ended.lock().expect("not poisoned"), ["ends", "hangs", "panics"]);
}

#[tokio::test]
async fn a_handler_can_remove_its_own_instance() {
    let (instances, alive) = counted();
    create(&instances, "a", "x").await.expect("made");
    let call = instances.of(&naming("a")).expect("it exists");
    assert!(instances.remove(call.id()));
    call.removed().await;
    assert_eq!(call.text, "x");
    drop(call);
    until(|| alive.load(SeqCst) == 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_shutdown_removes_all_instances_and_makes_no_more() {
    let (instances, alive) = counted();
    for number in 0..10 {
        create(&instances, &format!("i{number}"), "x").await.expect("made");
    }
    let being_made = Box::pin(create(&instances, "late", "never"));
    let mut being_made = being_made;
    assert!(poll!(&mut being_made).is_pending());
    let call = instances.get("i0").expect("it exists");
    instances.0.begin_shutdown();
    call.removed().await;
    assert!(instances.get("i1").is_some(), "late calls of the drain still work");
    let refused = create(&instances, "new", "x").await.expect_err("refused");
    assert_eq!(refused.code(), Code::Unavailable);
    drop(call);
    instances.0.shut_down().await;
    assert_eq!(alive.load(SeqCst), 0);
    assert!(instances.ids().is_empty());
}

#[test]
fn a_removal_outside_of_a_runtime_drops_the_value() {
    let (instances, alive) = counted();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(create(&instances, "a", "x")).expect("made");
    assert!(instances.remove("a"));
    assert_eq!(alive.load(SeqCst), 0);
    assert!(format!("{instances:?}").contains("[]"));
}
