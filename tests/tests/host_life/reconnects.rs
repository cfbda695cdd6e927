//! Connections that break while the plugin runs, because a proxy between host and plugin cuts them.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use rpcplugin::{
    Command, Endpoint, Exit, Plugin, Services,
    broker::{BoxError, Translate},
    host::{
        ChildProcess, LaunchEnvironment, LaunchFault, OutputOptions, OutputStream, Runner, StartedProcess,
    },
};
use rpcplugin_tests::{
    pb::{
        CallbackRequest, CallbackResponse, EchoRequest, TransformRequest, TransformResponse,
        WriteStdioRequest,
        host_calls_server::{HostCalls, HostCallsServer},
    },
    support::{
        TIMEOUT,
        conformance::{client, kit},
    },
};
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::{AbortHandle, JoinHandle},
    time::{sleep, timeout},
};
use tonic::{Request, Response, Status};

use crate::support::{TestHost, peer};

/// A runner that starts a plugin and a proxy between it and its host.
#[derive(Clone)]
struct Between {
    command: Command,
    line: Arc<Line>,
}

/// The proxy of the main connection.
#[derive(Debug)]
struct Line {
    door: PathBuf,
    open: Mutex<Vec<AbortHandle>>,
    answering: Mutex<Option<JoinHandle<()>>>,
}

impl Between {
    fn new(command: Command, dir: &Path) -> Self {
        let line =
            Line { door: dir.join("between.sock"), open: Mutex::default(), answering: Mutex::default() };
        Self { command, line: Arc::new(line) }
    }

    /// Cuts the open connections.
    fn cut(&self) {
        let open = std::mem::take(&mut *self.line.open.lock().unwrap());
        assert!(!open.is_empty(), "the host is connected");
        open.iter().for_each(AbortHandle::abort);
    }
}

impl Runner for Between {
    type Process = ChildProcess;

    fn program(&self) -> PathBuf {
        self.command.program().to_path_buf()
    }

    async fn start(
        &self,
        surroundings: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        let started = self.command.start(surroundings).await?;
        Ok(started.translate(Arc::new(Detour(Arc::clone(&self.line)))))
    }
}

#[derive(Debug)]
struct Detour(Arc<Line>);

impl Translate for Detour {
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Ok(endpoint.clone())
    }

    /// Replaces the first address, which is that of the plugin.
    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        let mut answering = self.0.answering.lock().unwrap();
        let Endpoint::Unix(plugin) = endpoint else { return Err("a socket".into()) };
        if answering.is_some() {
            return Ok(endpoint.clone());
        }
        let (door, plugin, line) = (UnixListener::bind(&self.0.door)?, plugin.clone(), Arc::clone(&self.0));
        *answering = Some(tokio::spawn(async move {
            loop {
                let (mut host, _) = door.accept().await.unwrap();
                let Ok(mut plugin) = UnixStream::connect(plugin.as_path()).await else { continue };
                let passing =
                    tokio::spawn(async move { drop(copy_bidirectional(&mut host, &mut plugin).await) });
                line.open.lock().unwrap().push(passing.abort_handle());
            }
        }));
        Ok(Endpoint::parse("unix", self.0.door.to_str().unwrap())?)
    }
}

/// The service that the plugin calls.
struct Calls;

#[tonic::async_trait]
impl HostCalls for Calls {
    async fn transform(
        &self,
        request: Request<TransformRequest>,
    ) -> Result<Response<TransformResponse>, Status> {
        let TransformRequest { seq, data, .. } = request.into_inner();
        Ok(Response::new(TransformResponse { seq: seq + 1, data, ..Default::default() }))
    }
}

/// Repeats a call until it succeeds: calls in flight fail when the connection is cut.
async fn until_it_succeeds<T, E: std::fmt::Debug>(mut call: impl AsyncFnMut() -> Result<T, E>) -> T {
    let trying = async {
        loop {
            match call().await {
                Ok(done) => return done,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(TIMEOUT, trying).await.unwrap()
}

async fn call_back(plugin: &Plugin) -> Result<CallbackResponse, BoxError> {
    let served = plugin.broker().serve(Services::new().add(HostCallsServer::new(Calls))).await?;
    let request = CallbackRequest { broker_id: served.id().0, calls: 1, data: b"x".to_vec(), nested: false };
    let answer = client(plugin).callback(request).await?.into_inner();
    served.stop().await;
    Ok(answer)
}

async fn print(plugin: &Plugin, text: &[u8]) {
    let request = || WriteStdioRequest { stdout: text.to_vec(), ..Default::default() };
    until_it_succeeds(async || client(plugin).write_stdio(request()).await).await;
}

async fn read_until(output: &mut OutputStream, text: &[u8]) {
    let mut heard = Vec::new();
    while !heard.ends_with(text) {
        heard.extend_from_slice(&timeout(TIMEOUT, output.next()).await.unwrap().unwrap().bytes);
    }
}

#[tokio::test]
async fn output_and_broker_are_reopened() {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let between = Between::new(kit(), dir.path());
    let test_host = TestHost::new();
    let plugin = test_host.host.launch_with(&between).await.unwrap();
    let mut output = plugin.output(OutputOptions::default());
    for text in [b"first", b"secnd", b"third"] {
        print(&plugin, text).await;
        read_until(&mut output, text).await;
        until_it_succeeds(async || call_back(&plugin).await).await;
        assert!(plugin.forwards_output() && plugin.serves_broker());
        between.cut();
        until_it_succeeds(async || client(&plugin).echo(EchoRequest::default()).await).await;
    }
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn a_go_plugin_still_prints_and_its_broker_is_reported_as_closed() {
    let Some(command) = peer("go") else { return };
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let between = Between::new(command, dir.path());
    let test_host = TestHost::new();
    let plugin = test_host.host.launch_with(&between).await.unwrap();
    let mut output = plugin.output(OutputOptions::default());
    call_back(&plugin).await.unwrap();
    between.cut();
    // More than the plugin can print unread. Output that was being sent when the connection was cut is lost.
    for _ in 0..3 {
        print(&plugin, &[b'x'; 100_000]).await;
    }
    print(&plugin, b"the end").await;
    read_until(&mut output, b"the end").await;
    let closed = async {
        loop {
            match call_back(&plugin).await {
                Ok(_) => panic!("the broker of the plugin is dead"),
                Err(error) if error.to_string().contains("peer's broker is closed") => return,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(4 * TIMEOUT, closed).await.unwrap();
    while plugin.serves_broker() {
        sleep(Duration::from_millis(2)).await;
    }
    plugin.shut_down().await;
}
