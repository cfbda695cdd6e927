//! The process of a plugin, used without a host library: the environment, the handshake line, a channel.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rpcplugin::{
    Endpoint, PluginChannel,
    broker::{Broker, BrokerSettings, ListenAt, Role},
    handshake::HandshakeLine,
    transport::{
        SecureStream, Security, SocketDir, dial,
        http2::{self, ChannelError, Connect},
    },
};
use rpcplugin_proto::{Empty, GrpcControllerClient, GrpcStdioClient, StdioData};
use rpcplugin_tests::{
    pb::{GreetRequest, TransformRequest, host_calls_client::HostCallsClient, sub_client::SubClient},
    support::signals,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

/// Longer than anything takes on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// A plugin to start.
pub(crate) struct Start {
    args: Vec<OsString>,
    env: BTreeMap<String, OsString>,
    tmp: TempDir,
}

/// A running plugin. Dropping it kills the process.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) answer: HandshakeLine,
    pub(crate) stdout: BufReader<ChildStdout>,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    pub(crate) tmp: TempDir,
}

/// The exit and the output of a plugin that did not serve.
pub(crate) struct Refused {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The plugin of these tests, with its cookie and a new temporary directory.
pub(crate) fn subject() -> Start {
    let tmp = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    let env = BTreeMap::from([
        ("PLUGIN_SUBJECT".to_owned(), "yes".into()),
        ("TMPDIR".to_owned(), tmp.path().into()),
        ("PLUGIN_PROTOCOL_VERSIONS".to_owned(), "1".into()),
    ]);
    Start { args: Vec::new(), env, tmp }
}

impl Start {
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// A path in the temporary directory of the plugin.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    pub(crate) fn command(&self) -> Command {
        signals::reset_ignored();
        let mut command = Command::new(env!("CARGO_BIN_EXE_plugin-subject"));
        command.args(&self.args).env_clear().envs(&self.env).env("PATH", "/usr/bin:/bin");
        command
    }

    fn spawn(self) -> (Child, BufReader<ChildStdout>, Arc<Mutex<String>>, JoinHandle<()>, TempDir) {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (stderr, reader) = collect(child.stderr.take().unwrap());
        (child, stdout, stderr, reader, self.tmp)
    }

    /// Starts the plugin, and reads its handshake line.
    pub(crate) fn start(self) -> Running {
        let (child, mut stdout, stderr, reader, tmp) = self.spawn();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Ok(answer) = HandshakeLine::parse(&line) else {
            panic!("{line:?} is not a handshake line; stderr: {}", stderr.lock().unwrap())
        };
        Running { child, answer, stdout, stderr, reader: Some(reader), tmp }
    }

    /// Starts the plugin, and waits for its exit.
    pub(crate) async fn refused(self) -> Refused {
        let (mut child, mut stdout, stderr, reader, _tmp) = self.spawn();
        let status = ended(&mut child).await;
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        reader.join().unwrap();
        let stderr = stderr.lock().unwrap().clone();
        Refused { status, stdout: text, stderr }
    }
}

impl Refused {
    /// Checks that the plugin exited with status 1, printed nothing on stdout, and these words on stderr.
    #[track_caller]
    pub(crate) fn printed(&self, words: &[&str]) {
        assert_eq!((self.status.code(), self.stdout.as_str()), (Some(1), ""), "stderr: {}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in {}", self.stderr);
        }
    }
}

impl Running {
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.answer.endpoint.clone()
    }

    /// The path of the socket.
    pub(crate) fn socket(&self) -> PathBuf {
        match self.endpoint() {
            Endpoint::Unix(path) => path.as_path().to_owned(),
            other => panic!("{other} is not a Unix socket"),
        }
    }

    /// A channel in plain text.
    pub(crate) async fn channel(&self) -> PluginChannel {
        channel(&self.endpoint(), Security::Plain).await.unwrap()
    }

    /// Runs a command on a new channel in plain text.
    pub(crate) async fn run(&self, command: &str) -> String {
        greet(self.channel().await, command).await.unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).unwrap();
    }

    /// Waits for the exit of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        ended(&mut self.child).await
    }

    /// Waits for an exit with status 0. The plugin must have removed its sockets and directories.
    pub(crate) async fn ends_cleanly(mut self) {
        let status = self.ended().await;
        let stderr = self.all_stderr();
        assert_eq!(status.code(), Some(0), "stderr: {stderr}");
        if let Endpoint::Unix(path) = &self.answer.endpoint {
            assert!(!path.as_path().exists(), "{} is left", path.as_path().display());
        }
        let left: Vec<_> =
            std::fs::read_dir(self.tmp.path()).unwrap().flatten().map(|entry| entry.path()).collect();
        let left: Vec<_> = left.iter().filter(|path| path.is_dir()).collect();
        assert!(left.is_empty(), "{left:?} is left");
    }

    /// The text on the original stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The whole text on the original stderr, after the exit.
    pub(crate) fn all_stderr(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.stderr()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connector to one endpoint.
struct To(Endpoint, Security);

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(self.1.client(dial(&self.0).await?).await?)
    }
}

pub(crate) async fn channel(endpoint: &Endpoint, security: Security) -> Result<PluginChannel, ChannelError> {
    http2::connect(To(endpoint.clone(), security), &http2::Settings::default()).await
}

pub(crate) async fn greet(channel: PluginChannel, command: &str) -> Result<String, Status> {
    let request = GreetRequest { name: command.to_owned() };
    timeout(TIMEOUT, SubClient::new(channel).greet(request))
        .await
        .expect("an answer in time")
        .map(|answer| answer.into_inner().text)
}

/// Sends this many bytes, and returns the number of bytes in the answer.
pub(crate) async fn transform(channel: PluginChannel, bytes: usize) -> Result<usize, Status> {
    let request = TransformRequest { data: vec![7; bytes].into(), ..TransformRequest::default() };
    let answer = timeout(TIMEOUT, HostCallsClient::new(channel).transform(request)).await;
    answer.expect("an answer in time").map(|answer| answer.into_inner().data.len())
}

pub(crate) async fn shut_down(channel: PluginChannel) -> Result<(), Status> {
    let mut controller = GrpcControllerClient::new(channel);
    timeout(TIMEOUT, controller.shutdown(Empty {})).await.expect("an answer in time").map(|_| ())
}

pub(crate) async fn stdio(channel: PluginChannel) -> Streaming<StdioData> {
    let mut client = GrpcStdioClient::new(channel);
    timeout(TIMEOUT, client.stream_stdio(())).await.expect("headers in time").unwrap().into_inner()
}

/// Reads forwarded output until `text` arrives on `source`, and returns all output of the source.
pub(crate) async fn read_until(
    stream: &mut Streaming<StdioData>,
    source: rpcplugin_proto::Channel,
    text: &str,
) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        let chunk = timeout(TIMEOUT, stream.message()).await.expect("output in time").unwrap();
        let chunk = chunk.unwrap_or_else(|| panic!("the stream ended after {all:?}"));
        if chunk.channel() == source {
            all.push_str(&String::from_utf8_lossy(&chunk.data));
        }
    }
    all
}

/// The broker of a host in direct mode, on the main channel.
pub(crate) fn host_broker(channel: &PluginChannel) -> Broker {
    let sockets = ListenAt::Unix(SocketDir::private(None).unwrap());
    let broker = Broker::direct(Role::Host, BrokerSettings::new(Security::Plain), sockets);
    tokio::spawn(broker.attach(channel.clone()));
    broker
}

pub(crate) async fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the process did not exit within {TIMEOUT:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// The directories and sockets below `dir`.
pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

fn collect(mut from: impl std::io::Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let reader = std::thread::spawn({
        let text = Arc::clone(&text);
        move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        }
    });
    (text, reader)
}
