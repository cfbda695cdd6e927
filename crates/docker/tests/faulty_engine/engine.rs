//! A container engine that starts nothing, and that fails where a test says so.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rpcplugin_docker::Container;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::mpsc,
    task::JoinSet,
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;

/// The engine. It has one image, `localhost/kv:1`, and at most one container.
pub(crate) struct FakeEngine {
    dir: TempDir,
    state: Arc<Mutex<State>>,
    serving: Option<AbortOnDropHandle<()>>,
}

/// What happens to a request whose method and path contain a text.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, with this message.
    Status(u16, &'static str),
    /// Half of the answer, and the end of the connection.
    Truncated,
    /// The request is executed, and the answer comes later.
    Slow(Duration),
    /// This answer.
    Answer(String),
}

/// A request that the engine has received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// `POST /containers/create?name=x`.
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

#[derive(Default)]
struct State {
    requests: Vec<Received>,
    faults: Vec<(&'static str, Fault)>,
    /// The name and the state of the container.
    container: Option<(String, Value)>,
    attached: Option<mpsc::UnboundedSender<Vec<u8>>>,
    /// Other containers in the list.
    others: Vec<Value>,
    has_image: bool,
}

/// The id of the image.
pub(crate) const IMAGE_ID: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// The digest of the image in its registry.
pub(crate) const REPO_DIGEST: &str =
    "sha256:2222222222222222222222222222222222222222222222222222222222222222";

impl FakeEngine {
    pub(crate) fn start() -> Self {
        let dir = TempDir::new_in("/tmp").expect("a directory");
        let state = Arc::new(Mutex::new(State { has_image: true, ..State::default() }));
        let mut engine = Self { dir, state, serving: None };
        engine.resume();
        engine
    }

    /// A container of the image, at this engine.
    pub(crate) fn container(&self) -> Container {
        Container::new("localhost/kv:1").engine(format!("unix://{}", self.socket().display()))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("engine.sock")
    }

    /// The engine dies: all connections end, and nothing listens.
    pub(crate) fn die(&mut self) {
        self.serving = None;
        self.state().attached = None;
        let _ = std::fs::remove_file(self.socket());
    }

    /// The engine runs again, and knows its containers.
    pub(crate) fn resume(&mut self) {
        let listener = UnixListener::bind(self.socket()).expect("bound");
        let state = Arc::clone(&self.state);
        self.serving = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        })));
    }

    /// Adds a fault for requests that contain the text.
    pub(crate) fn fault(&self, text: &'static str, fault: Fault) {
        self.state().faults.push((text, fault));
    }

    pub(crate) fn heal(&self) {
        self.state().faults.clear();
    }

    pub(crate) fn has_no_image(&self) {
        self.state().has_image = false;
    }

    pub(crate) fn other(&self, container: Value) {
        self.state().others.push(container);
    }

    /// The requests whose method and path contain the text.
    pub(crate) fn received(&self, text: &str) -> Vec<Received> {
        self.state().requests.iter().filter(|request| request.line.contains(text)).cloned().collect()
    }

    /// The plugin prints on descriptor 1 or 2.
    pub(crate) fn print(&self, descriptor: u8, text: &str) {
        let mut frame = vec![descriptor, 0, 0, 0];
        frame.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
        frame.extend(text.as_bytes());
        self.state().attached.as_ref().expect("attached").send(frame).expect("it is read");
    }

    /// Whether a host is attached.
    pub(crate) fn is_attached(&self) -> bool {
        self.state().attached.as_ref().is_some_and(|attached| !attached.is_closed())
    }

    /// The plugin exits.
    pub(crate) fn exit(&self, code: i32, oom: bool) {
        let mut state = self.state();
        if let Some((_, container)) = &mut state.container {
            *container = json!({ "Status": "stopped", "Running": false, "ExitCode": code, "OOMKilled": oom });
        }
        state.attached = None;
    }

    /// Another program removes the container.
    pub(crate) fn remove(&self) {
        let mut state = self.state();
        state.container = None;
        state.attached = None;
    }

    pub(crate) fn has_container(&self) -> bool {
        self.state().container.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked with it")
    }
}

async fn serve(stream: UnixStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    let Some(request) = read(&mut stream).await else { return };
    let mut fault = None;
    {
        let mut state = state.lock().expect("no test panicked with it");
        state.requests.push(request.clone());
        for (text, found) in &state.faults {
            if request.line.contains(text) {
                fault = Some(found.clone());
            }
        }
    }
    let (status, answer) = match &fault {
        Some(Fault::Status(status, message)) => (*status, json!({ "message": message }).to_string()),
        Some(Fault::Answer(answer)) => (200, answer.clone()),
        _ => answer(&request, &state),
    };
    if let Some(Fault::Slow(time)) = fault {
        sleep(time).await;
    }
    if status == 101 {
        let (sender, mut frames) = mpsc::unbounded_channel();
        state.lock().expect("no test panicked with it").attached = Some(sender);
        let head = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        while let Some(frame) = frames.recv().await {
            if stream.write_all(&frame).await.is_err() {
                return;
            }
        }
        return;
    }
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    let length = if matches!(fault, Some(Fault::Truncated)) { answer.len() / 2 } else { answer.len() };
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&answer.as_bytes()[..length]).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut BufReader<UnixStream>) -> Option<Received> {
    let mut first = String::new();
    stream.read_line(&mut first).await.ok().filter(|read| *read > 0)?;
    let line = first.rsplit_once(' ')?.0.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { line, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

/// The answer of an engine without faults.
fn answer(request: &Received, state: &Mutex<State>) -> (u16, String) {
    let mut state = state.lock().expect("no test panicked with it");
    let (method, target) = request.line.split_once(' ').expect("a method");
    let path = target.split('?').next().expect("a path");
    let ok = |value: Value| (200, value.to_string());
    let missing = || (404, json!({ "message": "no such thing" }).to_string());
    match (method, path) {
        ("GET", "/version") => {
            ok(json!({ "Version": "1.0", "Components": [{ "Name": "Fake Engine", "Version": "1.0" }] }))
        }
        ("GET", "/info") => ok(json!({
            "SecurityOptions": ["name=seccomp,profile=default"],
            "Runtimes": { "runc": {}, "runsc": {} },
            "DefaultRuntime": "runc",
            "MemoryLimit": true,
            "PidsLimit": true,
        })),
        ("POST", "/images/create") => {
            state.has_image = true;
            (200, "{\"status\":\"Pulling\"}\n{\"status\":\"Done\"}\n".to_owned())
        }
        ("GET", "/images/localhost/kv:1/json") if state.has_image => ok(json!({
            "Id": IMAGE_ID,
            "RepoDigests": [format!("localhost/kv@{REPO_DIGEST}")],
            "Config": { "User": "" },
        })),
        ("GET", "/containers/json") => {
            let mut list = state.others.clone();
            if let Some((name, _)) = &state.container {
                list.push(json!({ "Names": [format!("/{name}")], "State": "running" }));
            }
            ok(Value::Array(list))
        }
        ("POST", "/containers/create") => {
            let name = target.split_once("name=").expect("a name").1.to_owned();
            state.container = Some((name, json!({ "Status": "created", "Running": false })));
            (201, json!({ "Id": "c", "Warnings": [] }).to_string())
        }
        ("DELETE", path) => {
            let name = path.trim_start_matches("/containers/");
            if state.others.iter().any(|other| other["Names"][0] == format!("/{name}")) {
                state.others.retain(|other| other["Names"][0] != format!("/{name}"));
                return (204, String::new());
            }
            if state.container.take_if(|(known, _)| known == name).is_none() {
                return missing();
            }
            state.attached = None;
            (204, String::new())
        }
        _ => {
            let Some((name, container)) = &mut state.container else { return missing() };
            match path.strip_prefix(&format!("/containers/{name}")) {
                Some("/json") => ok(json!({ "State": container, "HostConfig": { "Runtime": "runc" } })),
                Some("/attach") => (101, String::new()),
                Some("/start") => {
                    *container = json!({ "Status": "running", "Running": true, "Pid": 0 });
                    (204, String::new())
                }
                Some("/kill") => {
                    *container = json!({ "Status": "exited", "Running": false, "ExitCode": 143 });
                    state.attached = None;
                    (204, String::new())
                }
                Some("/rename") => {
                    *name = target.split_once("name=").expect("a name").1.to_owned();
                    (204, String::new())
                }
                _ => missing(),
            }
        }
    }
}
