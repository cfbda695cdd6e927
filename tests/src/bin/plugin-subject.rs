//! A plugin that runs commands, for the tests of the plugin side.
//!
//! The plugin takes its settings from the environment, and commands through `conformance.v1.Sub/Greet`: the name to greet
//! is the command. `HostCalls/Transform` returns the data of the request, of any size.

use std::{
    io::Write as _,
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use futures_util::stream;
use rpcplugin::{
    MagicCookie, PluginContext, Serve, Services, Versions,
    config::Loader,
    plugin::{BasicProtocol, Protocol, Readiness, ServingStatus},
};
use rpcplugin_tests::pb::{
    CloseRequest, CloseResponse, GreetRequest, GreetResponse, TicksRequest, TicksResponse, TransformRequest,
    TransformResponse,
    host_calls_server::{HostCalls, HostCallsServer},
    sub_server::{Sub, SubServer},
};
use tonic::{Request, Response, Status, codegen::BoxStream};

#[derive(Debug, Parser)]
struct Args {
    /// Versions to serve.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    versions: Vec<u32>,
    /// Serve a protocol without services.
    #[arg(long)]
    basic: bool,
    /// Print while the services are made, after an unfinished line.
    #[arg(long)]
    noisy: bool,
    /// Write this file in a shutdown hook ...
    #[arg(long)]
    hook: Option<std::path::PathBuf>,
    /// ... after so many milliseconds.
    #[arg(long, default_value = "0")]
    hook_after: u64,
    /// Create this file when the plugin starts, and continue when the file is gone.
    #[arg(long)]
    start_after: Option<std::path::PathBuf>,
    /// Panic in another shutdown hook.
    #[arg(long)]
    hook_panics: bool,
    /// Listen on a custom transport, at this path.
    #[cfg(unix)]
    #[arg(long)]
    own_socket: Option<std::path::PathBuf>,
    /// Serve in test mode, and copy the output to stdout and stderr.
    #[arg(long)]
    attachable: bool,
}

#[expect(clippy::print_stdout, reason = "a plugin with a forgotten line of debugging")]
fn main() -> ExitCode {
    let args = Args::parse();
    if args.noisy {
        print!("an unfinished line before the plugin serves");
    }
    let cookie = MagicCookie::new("PLUGIN_SUBJECT", "yes").expect("a key and a value");
    let mut serve = Serve::new(cookie).load_config(&Loader::new().process_env());
    let subject = Subject {
        versions: Versions::new(args.versions.clone()).unwrap_or_else(|_| Versions::from(1)),
        noisy: args.noisy,
        readiness: serve.readiness(),
    };
    if args.basic {
        serve = serve.protocol(BasicProtocol::new(1));
    } else if !args.versions.contains(&0) {
        serve = serve.protocol(subject);
    }
    if let Some(hook) = args.hook {
        serve = serve.on_shutdown(async move {
            tokio::time::sleep(Duration::from_millis(args.hook_after)).await;
            let _ = std::fs::write(hook, "done");
        });
    }
    if let Some(file) = args.start_after {
        serve = serve.on_start(move |_| {
            std::fs::write(&file, "waiting").expect("a place for a file");
            for _ in 0..3000 {
                if !file.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
    }
    if args.hook_panics {
        serve = serve.on_shutdown(async { panic!("in a hook") });
    }
    #[cfg(unix)]
    if let Some(path) = args.own_socket {
        serve = serve.transport(OwnSocket(path));
    }
    if args.attachable { attachable(serve) } else { serve.main() }
}

#[tokio::main]
async fn attachable(serve: Serve) -> ExitCode {
    let served = async {
        let plugin = serve.attachable().await?.tee_output();
        let mut stdout = std::io::stdout();
        let _ = writeln!(stdout, "{}", plugin.config());
        let _ = writeln!(stdout, "{}", plugin.assignment("TF_REATTACH_PROVIDERS", "example.org/demo/kv"));
        plugin.serve().await
    };
    match served.await {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:?}");
            ExitCode::FAILURE
        }
    }
}

/// A socket that is not made by rpcplugin.
#[cfg(unix)]
struct OwnSocket(std::path::PathBuf);

#[cfg(unix)]
impl rpcplugin::plugin::CustomTransport for OwnSocket {
    type Listener = OwnListener;

    async fn bind(
        self,
    ) -> Result<(OwnListener, rpcplugin::Endpoint), Box<dyn std::error::Error + Send + Sync>> {
        let socket = tokio::net::UnixListener::bind(&self.0)?;
        let endpoint = rpcplugin::Endpoint::parse("unix", &self.0.to_string_lossy())?;
        Ok((OwnListener(socket), endpoint))
    }
}

#[cfg(unix)]
struct OwnListener(tokio::net::UnixListener);

#[cfg(unix)]
impl rpcplugin::transport::Listen for OwnListener {
    async fn accept(&mut self) -> Option<rpcplugin::transport::Stream> {
        self.0.accept().await.ok().map(|(stream, _)| rpcplugin::transport::Stream::Unix(stream))
    }
}

struct Subject {
    versions: Versions,
    noisy: bool,
    readiness: Readiness,
}

impl Protocol for Subject {
    fn versions(&self) -> Versions {
        self.versions.clone()
    }

    fn descriptors(&self) -> Vec<&'static [u8]> {
        vec![include_bytes!("../generated/conformance_descriptor.bin")]
    }

    #[expect(clippy::print_stdout, reason = "a plugin with a forgotten line of debugging")]
    fn services(&self, context: &PluginContext) -> Services {
        if self.noisy {
            println!("a line of debugging");
        }
        let commands = Commands {
            context: context.clone(),
            readiness: self.readiness.clone(),
            filled: Arc::new(AtomicU64::new(0)),
        };
        Services::new().add(SubServer::new(commands.clone())).add(HostCallsServer::new(commands))
    }
}

#[derive(Clone)]
struct Commands {
    context: PluginContext,
    readiness: Readiness,
    /// The bytes that `fill` has written.
    filled: Arc<AtomicU64>,
}

impl Commands {
    async fn run_command(&self, command: &str) -> Result<String, Status> {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        let number = || rest.parse::<u64>().map_err(|_| Status::invalid_argument("not a number"));
        match verb {
            "version" => return Ok(self.context.version.to_string()),
            "facts" => return Ok(format!("{:?}", self.context.host)),
            "ready" => return Ok(format!("{:?}", self.readiness.clone().wait().await)),
            "child" => return run_child(rest),
            "filled" => return Ok(self.filled.load(Ordering::Relaxed).to_string()),
            "block" => return block_thread(number()?),
            "serve" => return self.serve_another().await,
            "print" => print(rest),
            "fill" => self.fill(number()?),
            "print_at_the_end" => self.print_at_the_end(rest).await,
            "silence" => rpcplugin_tests::os::silence_stdout()?,
            "log" => tracing::info!(count = 7, "{rest}"),
            "panic" => panic!("{rest}"),
            "sleep" => {
                tokio::time::sleep(Duration::from_millis(number()?)).await;
                return Ok("slept".to_owned());
            }
            "unwell" => self.context.health.set(rest, ServingStatus::NotServing),
            "end" => self.context.shutdown_token().cancel(),
            _ => return Ok(format!("hello {command}")),
        }
        Ok(String::new())
    }

    /// Writes this many bytes to stdout in a thread of its own.
    fn fill(&self, bytes: u64) {
        let filled = Arc::clone(&self.filled);
        std::thread::spawn(move || {
            let line = [b'x'; 4096];
            while filled.load(Ordering::Relaxed) < bytes {
                let _ = std::io::stdout().write_all(&line);
                filled.fetch_add(4096, Ordering::Relaxed);
            }
        });
    }

    #[expect(clippy::print_stdout, reason = "the output of a plugin is tested")]
    async fn print_at_the_end(&self, text: &str) {
        self.context.shutdown_token().cancelled().await;
        // By now every other part of the shutdown has begun.
        tokio::time::sleep(Duration::from_millis(100)).await;
        println!("{text}");
    }

    /// Serves the commands through the broker too, and returns the id.
    async fn serve_another(&self) -> Result<String, Status> {
        let served = self.context.broker.serve(Services::new().add(SubServer::new(self.clone()))).await;
        let served = served.map_err(|error| Status::unavailable(error.to_string()))?;
        let id = served.id().to_string();
        served.detach();
        Ok(id)
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of a plugin is tested")]
fn print(text: &str) {
    println!("{text}");
    eprintln!("{text}");
}

fn run_child(script: &str) -> Result<String, Status> {
    let status = Command::new("sh").arg("-c").arg(script).status();
    Ok(status.map_err(|error| Status::internal(error.to_string()))?.to_string())
}

fn block_thread(milliseconds: u64) -> Result<String, Status> {
    // The only sign for the test: while the thread is blocked, no call is answered.
    std::fs::write(std::env::temp_dir().join(BLOCKED), "")?;
    // tokio wakes another thread of the runtime only for tasks that wait behind this one.
    drop([tokio::spawn(async {}), tokio::spawn(async {})]);
    std::thread::sleep(Duration::from_millis(milliseconds));
    Ok("blocked".to_owned())
}

/// The file in the temporary directory that announces a blocked thread.
const BLOCKED: &str = "blocked";

#[tonic::async_trait]
impl Sub for Commands {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let text = self.run_command(&request.get_ref().name).await?;
        Ok(Response::new(GreetResponse { text }))
    }

    type TicksStream = BoxStream<TicksResponse>;

    /// Ticks until the plugin ends if `n` is negative.
    async fn ticks(&self, request: Request<TicksRequest>) -> Result<Response<Self::TicksStream>, Status> {
        let n = request.get_ref().n;
        let end = self.context.shutdown_token();
        let ticks = stream::unfold(0_i64, move |value| {
            let end = end.clone();
            async move {
                if n < 0 {
                    let tick = Duration::from_millis(10);
                    end.run_until_cancelled(tokio::time::sleep(tick)).await?;
                }
                (n < 0 || value < n).then_some((Ok(TicksResponse { value }), value + 1))
            }
        });
        Ok(Response::new(Box::pin(ticks)))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        Ok(Response::new(CloseResponse {}))
    }
}

#[tonic::async_trait]
impl HostCalls for Commands {
    async fn transform(
        &self,
        request: Request<TransformRequest>,
    ) -> Result<Response<TransformResponse>, Status> {
        let TransformRequest { seq, data, .. } = request.into_inner();
        Ok(Response::new(TransformResponse { seq: seq + 1, data, greeting: String::new() }))
    }
}
