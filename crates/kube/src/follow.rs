//! Follows a pod by a watch: its newest state, and its end.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{api::WatchParams, core::WatchEvent};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    error::{Action, KubeError, describe, is_final},
    pod_ref::{PodRef, REQUEST},
};

/// A pod as the API server last showed it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) pod: Arc<Pod>,
    /// Whether the API server has the pod no longer.
    pub(crate) gone: bool,
    /// A refusal that repetitions do not change. The pod is followed all the same: permissions may come back.
    pub(crate) refused: Option<KubeError>,
    /// Why the view may be old: the last request failed.
    pub(crate) trouble: Option<Arc<str>>,
}

/// A task that follows a pod, and ends with this value.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) view: watch::Receiver<View>,
    _task: AbortOnDropHandle<()>,
}

impl Follower {
    /// Follows the pod from this state on, until the pod is gone.
    pub(crate) fn start(pod: PodRef, first: Pod) -> Self {
        let (sender, view) =
            watch::channel(View { pod: Arc::new(first), gone: false, refused: None, trouble: None });
        let task = AbortOnDropHandle::new(tokio::spawn(run(pod, sender)));
        Self { view, _task: task }
    }
}

/// Why a watch ended.
enum End {
    /// The pod is gone.
    Gone,
    /// The API server closed the watch, as it does from time to time.
    Closed,
    Failed(Action, kube::Error),
    /// Nothing came for longer than the API server may be silent.
    Silent,
}

async fn run(pod: PodRef, view: watch::Sender<View>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let end = follow(&pod, &view).await;
        if begun.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        let trouble = match end {
            End::Gone => return,
            End::Closed => None,
            End::Failed(action, error) => Some((
                describe(&error),
                is_final(&error).then(|| KubeError::of(action, &pod.namespace, &error)),
            )),
            End::Silent => Some(("the API server does not answer".to_owned(), None)),
        };
        if let Some((trouble, refused)) = trouble {
            tracing::debug!(pod = pod.id(), error = trouble, "the pod is not followed for a moment");
            view.send_modify(|view| {
                view.trouble = Some(trouble.into());
                view.refused = refused;
            });
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        if read(&pod, &view).await {
            return;
        }
    }
}

/// Watches the pod from the state of the view on.
async fn follow(pod: &PodRef, view: &watch::Sender<View>) -> End {
    let version = view.borrow().pod.metadata.resource_version.clone().unwrap_or_default();
    let this = WatchParams::default().fields(&format!("metadata.name={}", pod.name)).timeout(WATCH);
    let events = match timeout(REQUEST, pod.api.watch(&this, &version)).await {
        Ok(Ok(events)) => events,
        Ok(Err(error)) => return End::Failed(Action::Watch, error),
        Err(_) => return End::Silent,
    };
    let mut events = pin!(events);
    let longest = Duration::from_secs(u64::from(WATCH)) + REQUEST;
    loop {
        let event = match timeout(longest, events.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return End::Failed(Action::Watch, error),
            Ok(None) => return End::Closed,
            Err(_) => return End::Silent,
        };
        match event {
            WatchEvent::Added(new) | WatchEvent::Modified(new) if pod.is(&new) => show(view, new, false),
            WatchEvent::Deleted(last) if pod.is(&last) => {
                show(view, last, true);
                return End::Gone;
            }
            WatchEvent::Error(status) => return End::Failed(Action::Watch, kube::Error::Api(status)),
            WatchEvent::Added(_)
            | WatchEvent::Modified(_)
            | WatchEvent::Deleted(_)
            | WatchEvent::Bookmark(_) => {}
        }
    }
}

/// Reads the pod. Returns whether the pod is gone. A failure leaves the view as it is: the watch is tried anyway.
async fn read(pod: &PodRef, view: &watch::Sender<View>) -> bool {
    match timeout(REQUEST, pod.api.get_opt(&pod.name)).await {
        Ok(Ok(Some(new))) if pod.is(&new) => show(view, new, false),
        Ok(Ok(_)) => {
            view.send_modify(|view| view.gone = true);
            return true;
        }
        Ok(Err(error)) => {
            let refused = is_final(&error).then(|| KubeError::of(Action::Get, &pod.namespace, &error));
            view.send_modify(|view| {
                view.trouble = Some(describe(&error).into());
                view.refused = refused;
            });
        }
        Err(_) => view.send_modify(|view| view.trouble = Some("the API server does not answer".into())),
    }
    false
}

fn show(view: &watch::Sender<View>, pod: Pod, gone: bool) {
    view.send_replace(View { pod: Arc::new(pod), gone, refused: None, trouble: None });
}

/// The time after which the API server closes a watch, in seconds.
const WATCH: u32 = 120;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
