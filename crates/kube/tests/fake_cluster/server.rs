//! A small API server: pods, their logs, events and port-forwards, over HTTP. It can fail in the ways of a real one.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rpcplugin_kube::{
    k8s_openapi::jiff::Timestamp,
    kube::{Client, Config},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};
use tokio_util::sync::CancellationToken;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The namespace of all tests.
pub(crate) const NAMESPACE: &str = "plugins";

/// A cluster that exists in this process. Dropping it ends the server and the plugins.
#[derive(Clone)]
pub(crate) struct FakeCluster {
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
    /// Counts the changes of the state.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    pods: HashMap<String, Value>,
    version: u64,
    /// Version, kind and pod of each change, for watches.
    history: Vec<(u64, &'static str, Value)>,
    events: Vec<Value>,
    log: Vec<(Timestamp, String)>,
    requests: Vec<String>,
    faults: Vec<Fault>,
    /// What the kubelet does with a new pod.
    kubelet: Option<Kubelet>,
    /// Cancelled when a plugin has to be killed.
    plugins: HashMap<String, CancellationToken>,
}

/// The reaction to a new pod.
#[derive(Clone)]
enum Kubelet {
    /// Reports this status.
    Status(Value),
    /// Runs the program of the test as a plugin, with the variables of the pod.
    Run(Vec<String>),
}

/// A failure of the requests that contain a text.
struct Fault {
    request: &'static str,
    times: usize,
    reaction: Reaction,
}

/// A failure of the API server.
#[derive(Clone)]
pub(crate) enum Reaction {
    /// An answer with this status and message.
    Refuse(u16, &'static str),
    /// The request is carried out, and there is no answer.
    HangAfter,
    /// The request is carried out, and the connection closed without an answer.
    CloseAfter,
    /// The stream of a log breaks off after this number of lines, in the middle of the next one.
    BreakLog(usize),
    /// The stream of a watch ends at once.
    EndWatch,
}

impl FakeCluster {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let this = Self { address, state: Arc::default(), changes: watch::channel(0).0 };
        let serving = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let cluster = serving.clone();
                tokio::spawn(async move {
                    let serve = service_fn(move |request| {
                        let cluster = cluster.clone();
                        async move { cluster.answer(request).await }
                    });
                    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), serve);
                    let _ = connection.with_upgrades().await;
                });
            }
        });
        this
    }

    pub(crate) fn client(&self) -> Client {
        let mut config = Config::new(format!("http://{}", self.address).parse().unwrap());
        config.default_namespace = NAMESPACE.into();
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// New pods get this status.
    pub(crate) fn kubelet_reports(&self, status: Value) {
        self.state().kubelet = Some(Kubelet::Status(status));
    }

    /// New pods run the test `plugin_process` of this program.
    pub(crate) fn kubelet_runs_the_plugin(&self) {
        // With one thread the test runner prints the name of the test before the handshake line, and on the same line.
        let arguments = ["plugin_process", "--exact", "--nocapture", "--test-threads=2"].map(str::to_owned);
        self.state().kubelet = Some(Kubelet::Run(arguments.into()));
    }

    /// The next requests that contain the text fail in this way.
    pub(crate) fn fail(&self, request: &'static str, times: usize, reaction: Reaction) {
        self.state().faults.push(Fault { request, times, reaction });
    }

    /// Adds a warning about the only pod.
    pub(crate) fn add_event(&self, reason: &str, message: &str) {
        self.state().events.push(json!({
            "metadata": {"name": "e"}, "involvedObject": {}, "type": "Warning", "reason": reason, "message": message,
            "lastTimestamp": "2026-11-30T10:00:00Z",
        }));
    }

    /// Adds a pod that is there already.
    pub(crate) fn add_pod(&self, pod: Value) {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        self.put("ADDED", &name, pod);
    }

    /// The names of all pods.
    pub(crate) fn pods(&self) -> Vec<String> {
        let mut names: Vec<String> = self.state().pods.keys().cloned().collect();
        names.sort();
        names
    }

    /// The requests so far: method, path and query.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// The only pod.
    pub(crate) fn pod(&self) -> Value {
        let state = self.state();
        assert_eq!(state.pods.len(), 1, "{:?}", state.pods.keys());
        state.pods.values().next().unwrap().clone()
    }

    /// Changes the status of the only pod.
    pub(crate) fn set_status(&self, status: Value) {
        let mut pod = self.pod();
        pod["status"] = status;
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        self.put("MODIFIED", &name, pod);
    }

    /// Removes the only pod, as another program does.
    pub(crate) fn remove_pod(&self) {
        let name = self.pods().pop().unwrap();
        self.remove(&name);
    }

    /// Writes a line to the log.
    pub(crate) fn log(&self, line: &str) {
        self.state().log.push((Timestamp::now(), line.to_owned()));
        self.changed();
    }

    /// The lines of the log so far.
    pub(crate) fn logged(&self) -> Vec<String> {
        self.state().log.iter().map(|(_, line)| line.clone()).collect()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            while !holds(self) {
                // Requests that change nothing are noticed by the time.
                let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .unwrap_or_else(|_| panic!("never: {what}"));
    }

    fn put(&self, kind: &'static str, name: &str, mut pod: Value) {
        let mut state = self.state();
        state.version += 1;
        pod["metadata"]["resourceVersion"] = state.version.to_string().into();
        pod["metadata"]["namespace"] = NAMESPACE.into();
        if pod["metadata"]["uid"].is_null() {
            pod["metadata"]["uid"] = format!("uid-{}", state.version).into();
        }
        let version = state.version;
        state.history.push((version, kind, pod.clone()));
        state.pods.insert(name.to_owned(), pod);
        drop(state);
        self.changed();
    }

    fn remove(&self, name: &str) {
        let mut state = self.state();
        let Some(pod) = state.pods.remove(name) else { return };
        state.version += 1;
        let version = state.version;
        state.history.push((version, "DELETED", pod));
        drop(state);
        self.changed();
    }

    /// The reaction to a request that has to fail.
    fn reaction(&self, request: &str) -> Option<Reaction> {
        let mut state = self.state();
        let fault =
            state.faults.iter_mut().find(|fault| fault.times > 0 && request.contains(fault.request))?;
        fault.times -= 1;
        Some(fault.reaction.clone())
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
        let line = format!("{} {}", request.method(), request.uri());
        self.state().requests.push(line.clone());
        let reaction = self.reaction(&line);
        if let Some(Reaction::Refuse(code, message)) = &reaction {
            return Ok(status(*code, message));
        }
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let path: Vec<&str> = uri.path().trim_start_matches("/api/v1/namespaces/").split('/').collect();
        let query: HashMap<&str, &str> =
            uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')).collect();
        let answer = match (&method, path.as_slice()) {
            (&Method::POST, [_, "pods"]) => {
                let body = request.collect().await.map_err(io::Error::other)?.to_bytes();
                self.create(serde_json::from_slice(&body).unwrap())
            }
            (&Method::GET, [_, "pods"]) if query.contains_key("watch") => {
                let since =
                    query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
                let name = query.get("fieldSelector").map(|field| field.replace("metadata.name%3D", ""));
                self.watch(since, &name.unwrap_or_default(), matches!(reaction, Some(Reaction::EndWatch)))
            }
            (&Method::GET, [_, "pods"]) => {
                let pods: BTreeMap<String, Value> = self.state().pods.clone().into_iter().collect();
                let pods: Vec<Value> = pods.into_values().collect();
                object(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}))
            }
            (&Method::GET, [_, "events"]) => {
                let events = self.state().events.clone();
                object(json!({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": events}))
            }
            (&Method::GET, [_, "pods", name]) => {
                let pod = self.state().pods.get(*name).cloned();
                pod.map_or_else(|| not_found(name), object)
            }
            (&Method::DELETE, [_, "pods", name]) => {
                let body = request.collect().await.map_err(io::Error::other)?.to_bytes();
                self.delete(name, &serde_json::from_slice(&body).unwrap_or_default())
            }
            (&Method::GET, [_, "pods", name, "log"]) => {
                let since = query.get("sinceTime").map(|time| time.replace("%3A", ":").parse().unwrap());
                let breaks = match reaction {
                    Some(Reaction::BreakLog(lines)) => Some(lines),
                    _ => None,
                };
                self.read_log(name, since, query.contains_key("follow"), breaks)
            }
            (&Method::GET, [_, "pods", _, "portforward"]) => {
                forward(request, query["ports"].parse().unwrap())
            }
            _ => status(404, "the server could not find the requested resource"),
        };
        match reaction {
            Some(Reaction::CloseAfter) => Err(io::Error::other("closed")),
            Some(Reaction::HangAfter) => std::future::pending().await,
            _ => Ok(answer),
        }
    }

    fn create(&self, pod: Value) -> Response<Body> {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        if self.state().pods.contains_key(&name) {
            return status(409, "pods already exists");
        }
        self.put("ADDED", &name, pod);
        let created = self.state().pods[&name].clone();
        let kubelet = self.state().kubelet.clone();
        match kubelet {
            Some(Kubelet::Status(report)) => {
                let mut pod = created.clone();
                pod["status"] = report;
                self.put("MODIFIED", &name, pod);
            }
            Some(Kubelet::Run(arguments)) => {
                let (cluster, pod, killed) = (self.clone(), created.clone(), CancellationToken::new());
                self.state().plugins.insert(name, killed.clone());
                tokio::spawn(cluster.run(pod, arguments, killed));
            }
            None => {}
        }
        object(created)
    }

    /// Deletes as the API server and the kubelet do: SIGKILL for a plugin that runs, after its timestamp of deletion is there.
    fn delete(&self, name: &str, options: &Value) -> Response<Body> {
        let Some(mut pod) = self.state().pods.get(name).cloned() else { return not_found(name) };
        let uid = &options["preconditions"]["uid"];
        if uid.is_string() && *uid != pod["metadata"]["uid"] {
            return status(409, "the uid in the precondition does not match");
        }
        let plugin = self.state().plugins.remove(name);
        if options["gracePeriodSeconds"] != 0 && pod["status"]["phase"] == "Running" {
            pod["metadata"]["deletionTimestamp"] = Timestamp::now().to_string().into();
            self.put("MODIFIED", name, pod.clone());
        }
        match plugin {
            // The pod is removed when the plugin has exited.
            Some(plugin) if options["gracePeriodSeconds"] != 0 => plugin.cancel(),
            plugin => {
                plugin.iter().for_each(CancellationToken::cancel);
                self.remove(name);
            }
        }
        object(pod)
    }

    /// Runs the plugin of a pod until it exits or is killed.
    async fn run(self, pod: Value, arguments: Vec<String>, killed: CancellationToken) {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .envs(env.iter().map(|one| (text(&one["name"]), text(&one["value"]))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let outputs = [
            tokio::spawn(self.clone().collect_log(child.stdout.take().unwrap())),
            tokio::spawn(self.clone().collect_log(child.stderr.take().unwrap())),
        ];
        self.set_state_of(&name, "Running", json!({"running": {}}));
        let exit = tokio::select! {
            exit = child.wait() => exit.unwrap(),
            () = killed.cancelled() => {
                child.kill().await.unwrap();
                child.wait().await.unwrap()
            }
        };
        for output in outputs {
            let _ = output.await;
        }
        let code = exit.code().unwrap_or(137);
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let reason = if code == 0 { "Completed" } else { "Error" };
        self.set_state_of(&name, phase, json!({"terminated": {"exitCode": code, "reason": reason}}));
        if killed.is_cancelled() {
            self.remove(&name);
        }
    }

    fn set_state_of(&self, name: &str, phase: &str, container: Value) {
        let Some(mut pod) = self.state().pods.get(name).cloned() else { return };
        pod["status"] = status_with(phase, container);
        self.put("MODIFIED", name, pod);
    }

    async fn collect_log(self, output: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.log(&line);
        }
    }

    fn watch(&self, since: u64, name: &str, ends: bool) -> Response<Body> {
        let (cluster, name) = (self.clone(), name.to_owned());
        let (sender, body) = streaming();
        if !ends {
            tokio::spawn(async move {
                let mut changes = cluster.changes.subscribe();
                let mut next = since;
                loop {
                    let new: Vec<_> = cluster
                        .state()
                        .history
                        .iter()
                        .filter(|(version, ..)| *version > next)
                        .cloned()
                        .collect();
                    for (version, kind, pod) in new {
                        next = version;
                        if pod["metadata"]["name"] == *name {
                            let event = format!("{}\n", json!({"type": kind, "object": pod}));
                            if sender.send(Ok(event.into())).await.is_err() {
                                return;
                            }
                        }
                    }
                    tokio::select! {
                        changed = changes.changed() => if changed.is_err() { return },
                        () = sender.closed() => return,
                    }
                }
            });
        }
        Response::new(body)
    }

    fn read_log(
        &self,
        name: &str,
        since: Option<Timestamp>,
        follow: bool,
        breaks: Option<usize>,
    ) -> Response<Body> {
        if !self.state().pods.contains_key(name) {
            return not_found(name);
        }
        let (cluster, name) = (self.clone(), name.to_owned());
        let (sender, body) = streaming();
        tokio::spawn(async move {
            let mut changes = cluster.changes.subscribe();
            let (mut next, mut sent) = (0, 0);
            loop {
                let runs =
                    cluster.state().pods.get(&name).is_some_and(|pod| pod["status"]["phase"] == "Running");
                let lines = cluster.state().log[next..].to_vec();
                for (time, line) in lines {
                    next += 1;
                    if since.is_some_and(|since| time < since) {
                        continue;
                    }
                    let line = format!("{time:.9} {line}\n");
                    if breaks == Some(sent) {
                        let half = line[..line.len() / 2].to_owned();
                        let _ = sender.send(Ok(half.into())).await;
                        let _ = sender.send(Err(io::Error::other("broken off"))).await;
                        return;
                    }
                    sent += 1;
                    if sender.send(Ok(line.into())).await.is_err() {
                        return;
                    }
                }
                if !runs || !follow {
                    return;
                }
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
            }
        });
        Response::new(body)
    }
}

/// The status of a pod whose plugin is in this state.
pub(crate) fn status_with(phase: &str, container: Value) -> Value {
    json!({
        "phase": phase,
        "podIP": "127.0.0.1",
        "containerStatuses": [{
            "name": "plugin", "image": "kv:1", "imageID": "", "ready": false, "restartCount": 0, "state": container,
        }],
    })
}

fn streaming() -> (mpsc::Sender<Result<Bytes, io::Error>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let frames = futures_util::stream::unfold(
        receiver,
        |mut receiver: mpsc::Receiver<Result<Bytes, io::Error>>| async {
            let next = receiver.recv().await?;
            Some((next.map(Frame::data), receiver))
        },
    );
    (sender, StreamBody::new(frames).boxed_unsync())
}

fn object(value: Value) -> Response<Body> {
    Response::new(full(value.to_string()))
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

fn status(code: u16, message: &str) -> Response<Body> {
    let reason = match code {
        404 => "NotFound",
        409 if message.contains("exists") => "AlreadyExists",
        409 => "Conflict",
        _ => "",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code,
    });
    let mut response = object(status);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn not_found(name: &str) -> Response<Body> {
    status(404, &format!("pods {name:?} not found"))
}

/// Serves a port-forward: a WebSocket with one channel for data and one for errors.
fn forward(mut request: Request<Incoming>, port: u16) -> Response<Body> {
    let accept = derive_accept_key(request.headers()[header::SEC_WEBSOCKET_KEY].as_bytes());
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let (mut to_host, mut from_host) = socket.split();
        for channel in [0, 1] {
            let mut first = vec![channel];
            first.extend(port.to_le_bytes());
            to_host.send(Message::binary(first)).await.unwrap();
        }
        let stream = match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(stream) => stream,
            Err(error) => {
                let mut message = vec![1];
                message.extend(format!("error forwarding port {port}: {error}").bytes());
                let _ = to_host.send(Message::binary(message)).await;
                let _ = to_host.send(Message::Close(None)).await;
                return;
            }
        };
        let (mut from_plugin, mut to_plugin) = stream.into_split();
        let up = async {
            while let Some(Ok(message)) = from_host.next().await {
                match message {
                    Message::Binary(bytes) if bytes.len() > 1 && bytes[0] == 0 => {
                        let Ok(()) = to_plugin.write_all(&bytes[1..]).await else { break };
                    }
                    Message::Close(_) => break,
                    _ => {}
                }
            }
        };
        let down = async {
            let mut buffer = [0; 16 << 10];
            while let Ok(read @ 1..) = from_plugin.read(&mut buffer).await {
                let mut frame = vec![0];
                frame.extend(&buffer[..read]);
                if to_host.send(Message::binary(frame)).await.is_err() {
                    return;
                }
            }
            let _ = to_host.send(Message::Close(None)).await;
        };
        tokio::select! { () = up => {}, () = down => {} }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .header(header::SEC_WEBSOCKET_PROTOCOL, "v4.channel.k8s.io")
        .body(full(String::new()))
        .unwrap()
}
