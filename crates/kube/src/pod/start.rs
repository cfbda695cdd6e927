//! The start of one pod: create, wait until the container has started, open the log.

use std::{ffi::OsString, net::IpAddr, pin::pin, time::Duration};

use k8s_openapi::api::core::v1;
use kube::{Api, api::PostParams};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Connected, Pod};
use crate::{
    error::{Action, KubeError, describe, is_final, is_not_found},
    events::last_warning,
    follow::Follower,
    logs::{LogStream, PodOutput, open_first},
    manifest,
    orphans::{REAPING, reap},
    pod_ref::{Counted, PodRef, REQUEST},
    status::{Startup, removed, startup},
};

/// A pod whose container has started.
pub(super) struct Started {
    pub(super) pod: PodRef,
    pub(super) follower: Follower,
    pub(super) output: PodOutput,
    /// The address to connect to, if the host connects to the pod itself.
    pub(super) address: Option<IpAddr>,
}

/// Deletes a pod whose start is given up.
#[derive(Debug)]
struct Abandon(Option<PodRef>);

impl Drop for Abandon {
    fn drop(&mut self) {
        if let Some(pod) = self.0.take() {
            pod.delete_in_background();
        }
    }
}

impl Pod {
    /// Deletes pods of hosts that are gone, in a task that nothing waits for.
    pub(super) fn start_reaper(&self, connected: &Connected) {
        let (client, host) = (connected.cluster.client.clone(), connected.host.clone());
        let namespace = self.namespace_in(connected).to_owned();
        tokio::spawn(async move {
            let _ = timeout(REAPING, reap(client, &namespace, &host)).await;
        });
    }

    fn namespace_in<'c>(&'c self, connected: &'c Connected) -> &'c str {
        self.settings.namespace.as_deref().unwrap_or(&connected.cluster.namespace)
    }

    /// Creates the pod and waits until its container has started.
    ///
    /// # Cancel safety
    /// Dropping the future deletes the pod.
    pub(super) async fn start_in(
        &self,
        connected: &Connected,
        handshake: Vec<(String, OsString)>,
    ) -> Result<Started, KubeError> {
        let namespace = self.namespace_in(connected);
        self.note(Some("the API server has not created the pod".to_owned()));
        let wanted = manifest::pod(&self.settings, namespace, handshake, &connected.host, self.owner)?;
        let pod = PodRef {
            api: Api::namespaced(connected.cluster.client.clone(), namespace),
            namespace: namespace.into(),
            name: wanted.metadata.name.as_deref().unwrap_or_default().into(),
            uid: None,
            runtime: Handle::current(),
            counted: Counted::new(),
        };
        let (created, mut abandon) = create(pod.clone(), wanted).await?;
        let pod = PodRef { uid: created.metadata.uid.as_deref().map(Into::into), ..pod };
        let mut follower = Follower::start(pod.clone(), created);
        let log = match self.container_started(&pod, &mut follower).await {
            Ok(()) => first_log(&pod, &mut follower).await?,
            Err(fault) => return Err(with_event(fault, &pod).await),
        };
        let address = if self.is_direct(&connected.cluster) { Some(address(&pod, &follower)?) } else { None };
        self.note(None);
        abandon.0 = None;
        Ok(Started { output: PodOutput::start(pod.clone(), log), pod, follower, address })
    }

    /// Waits until the container of the plugin runs, or has run.
    async fn container_started(&self, pod: &PodRef, follower: &mut Follower) -> Result<(), KubeError> {
        let mut unschedulable_since: Option<Instant> = None;
        let mut events = Instant::now() + FIRST_EVENTS;
        let mut event = None;
        loop {
            let view = follower.view.borrow_and_update().clone();
            if let Some(refused) = view.refused {
                return Err(refused);
            }
            if view.gone {
                return Err(removed(&view.pod));
            }
            let state = startup(&view.pod)?;
            let give_up = match &state {
                Startup::Started => return Ok(()),
                Startup::Waiting(_) => {
                    unschedulable_since = None;
                    None
                }
                Startup::Unschedulable(message) => {
                    let since = *unschedulable_since.get_or_insert_with(Instant::now);
                    let until = since + self.schedule_timeout;
                    if Instant::now() >= until {
                        return Err(KubeError::Unschedulable {
                            after: self.schedule_timeout,
                            message: message.clone(),
                        });
                    }
                    Some(until)
                }
            };
            let (Startup::Waiting(reason) | Startup::Unschedulable(reason)) = &state else { return Ok(()) };
            self.note(Some(waiting(pod, reason, event.as_deref(), view.trouble.as_deref())));
            let give_up = async {
                match give_up {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = follower.view.changed() => if changed.is_err() {
                    return Err(removed(&view.pod));
                },
                () = give_up => {}
                () = sleep_until(events) => {
                    event = last_warning(pod).await.or(event);
                    events = Instant::now() + NEXT_EVENTS;
                }
            }
        }
    }
}

/// Creates the pod in a task of its own, so that a start that is given up meanwhile is noticed here. The second value deletes the pod when
/// it is dropped.
async fn create(pod: PodRef, wanted: v1::Pod) -> Result<(v1::Pod, Abandon), KubeError> {
    let (mut report, created) = oneshot::channel();
    let namespace = pod.namespace.clone();
    tokio::spawn(async move {
        let mut creating = pin!(create_surely(&pod, &wanted));
        let outcome = tokio::select! {
            outcome = &mut creating => outcome,
            // The request may be on its way still: if there is no pod yet, its answer is waited for.
            () = report.closed() => match pod.delete(Some(1)).await {
                Ok(true) => return,
                _ => creating.await,
            },
        };
        let may_exist = match &outcome {
            Ok(_) => true,
            // The request may have been carried out all the same.
            Err(kube::Error::Api(status)) => status.code >= 500,
            Err(_) => true,
        };
        let abandon = Abandon(may_exist.then(|| pod.clone()));
        // If the start has been given up, the value comes back and is dropped.
        let _ = report.send(outcome.map(|created| (created, abandon)));
    });
    match created.await {
        Ok(Ok(created)) => Ok(created),
        Ok(Err(error)) => Err(KubeError::of(Action::Create, &namespace, &error)),
        Err(_) => {
            Err(KubeError::Api { action: Action::Create, message: "the runtime shuts down".to_owned() })
        }
    }
}

/// Creates the pod. The name is random, so that a repetition after a failure cannot make a second pod, and a pod that exists is this one.
async fn create_surely(pod: &PodRef, wanted: &v1::Pod) -> Result<v1::Pod, kube::Error> {
    let mut pause = Duration::from_millis(200);
    let mut attempt = 1;
    loop {
        let error = match timeout(REQUEST, pod.api.create(&PostParams::default(), wanted)).await {
            Ok(Ok(created)) => return Ok(created),
            Ok(Err(kube::Error::Api(status))) if status.is_already_exists() && attempt > 1 => {
                return pod.api.get(&pod.name).await;
            }
            Ok(Err(error)) => error,
            Err(_) => kube::Error::Service("the API server does not answer".into()),
        };
        if attempt == CREATE_ATTEMPTS || !may_pass(&error) {
            return Err(error);
        }
        tracing::debug!(pod = pod.id(), error = describe(&error), "the pod is not created yet");
        sleep(pause).await;
        pause *= 2;
        attempt += 1;
    }
}

/// Whether a repetition may help: the API server is busy, restarts, or was not reached.
fn may_pass(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500 | 502 | 503 | 504),
        kube::Error::Service(_) | kube::Error::HyperError(_) => true,
        _ => false,
    }
}

/// Opens the log of a container that has just started. The kubelet may not know of the log for a moment.
async fn first_log(pod: &PodRef, follower: &mut Follower) -> Result<LogStream, KubeError> {
    let mut pause = Duration::from_millis(50);
    let give_up = Instant::now() + FIRST_LOG;
    loop {
        let error = match timeout(REQUEST, open_first(pod)).await {
            Ok(Ok(log)) => return Ok(log),
            Ok(Err(error)) => error,
            Err(_) => kube::Error::Service("the API server does not answer".into()),
        };
        if follower.view.borrow().gone || is_not_found(&error) {
            return Err(removed(&follower.view.borrow().pod));
        }
        if is_final(&error) || Instant::now() + pause > give_up {
            return Err(KubeError::of(Action::Logs, &pod.namespace, &error));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// The address of the pod.
fn address(pod: &PodRef, follower: &Follower) -> Result<IpAddr, KubeError> {
    let view = follower.view.borrow();
    let address = view.pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    address.and_then(|address| address.parse().ok()).ok_or_else(|| KubeError::Api {
        action: Action::Get,
        message: format!("the pod {} has no address", pod.id()),
    })
}

/// Adds the sentence of the last event to a fault whose own explanation is short.
async fn with_event(fault: KubeError, pod: &PodRef) -> KubeError {
    let add = |message: String, event: Option<String>| match event {
        Some(event) if !message.contains(&event) && !event.contains(&message) => {
            format!("{message}; {event}")
        }
        Some(event) if event.len() > message.len() => event,
        _ => message,
    };
    match fault {
        KubeError::Image { image, reason, message } => {
            KubeError::Image { image, reason, message: add(message, last_warning(pod).await) }
        }
        KubeError::Configuration { reason, message } => {
            KubeError::Configuration { reason, message: add(message, last_warning(pod).await) }
        }
        other => other,
    }
}

/// What a launch that runs out of time has waited for.
fn waiting(pod: &PodRef, reason: &str, event: Option<&str>, trouble: Option<&str>) -> String {
    let mut text = format!("the pod {} waits: {reason}", pod.id());
    if let Some(event) = event {
        text = format!("{text}; the last warning about it: {event}");
    }
    if let Some(trouble) = trouble {
        text = format!("{text}; the API server did not answer the last request: {trouble}");
    }
    text
}

const CREATE_ATTEMPTS: u32 = 4;
/// The time until a container that has started has a log.
const FIRST_LOG: Duration = Duration::from_secs(10);
/// The time from the creation to the first look at the events. Most pods have started by then.
const FIRST_EVENTS: Duration = Duration::from_secs(2);
const NEXT_EVENTS: Duration = Duration::from_secs(5);
