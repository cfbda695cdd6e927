//! A plugin that does on request what a plugin may do, for the tests of the plugin side.
//!
//! It takes its settings from the environment, and orders through `conformance.v1.Sub/Greet`: the name to greet is the
//! order. `HostCalls/Transform` sends back what it gets, of any size.

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
    /// Print while the services are made, and leave a line unfinished before.
    #[arg(long)]
    noisy: bool,
    /// Write this file in a shutdown hook ...
    #[arg(long)]
    hook: Option<std::path::PathBuf>,
    /// ... after so many milliseconds.
    #[arg(long, default_value = "0")]
    hook_after: u64,
    /// Make this file when the plugin starts, and go on when it is gone.
    #[arg(long)]
    start_after: Option<std::path::PathBuf>,
    /// Panic in another shutdown hook.
    #[arg(long)]
    hook_panics: bool,
    /// Listen on a transport of its own, at this path.
    #[arg(long)]
    own_socket: Option<std::path::PathBuf>,
    /// Serve hosts that attach, and show them the output.
    #[arg(long)]
    attachable: bool,
}

#[expect(clippy::print_stdout, reason = "a plugin whose author forgot a line of debugging")]
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

/// A socket made by other means than rpcplugin's.
struct OwnSocket(std::path::PathBuf);

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

struct OwnListener(tokio::net::UnixListener);

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

    #[expect(clippy::print_stdout, reason = "a plugin whose author forgot a line of debugging")]
    fn services(&self, context: &PluginContext) -> Services {
        if self.noisy {
            println!("a line of debugging");
        }
        let orders = Orders {
            context: context.clone(),
            readiness: self.readiness.clone(),
            filled: Arc::new(AtomicU64::new(0)),
        };
        Services::new().add(SubServer::new(orders.clone())).add(HostCallsServer::new(orders))
    }
}

#[derive(Clone)]
struct Orders {
    context: PluginContext,
    readiness: Readiness,
    /// How many bytes have been written by `fill`.
    filled: Arc<AtomicU64>,
}

impl Orders {
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "what a plugin prints is what is tested")]
    async fn carry_out(&self, order: &str) -> Result<String, Status> {
        let (verb, rest) = order.split_once(' ').unwrap_or((order, ""));
        let number = || rest.parse::<u64>().map_err(|_| Status::invalid_argument("no number"));
        Ok(match verb {
            "version" => self.context.version.to_string(),
            "facts" => format!("{:?}", self.context.host),
            "ready" => format!("{:?}", self.readiness.clone().wait().await),
            "print" => {
                println!("{rest}");
                eprintln!("{rest}");
                String::new()
            }
            "child" => {
                let status = Command::new("sh").arg("-c").arg(rest).status();
                status.map_err(|error| Status::internal(error.to_string()))?.to_string()
            }
            "fill" => {
                let (bytes, filled) = (number()?, Arc::clone(&self.filled));
                std::thread::spawn(move || {
                    let line = [b'x'; 4096];
                    while filled.load(Ordering::Relaxed) < bytes {
                        let _ = std::io::stdout().write_all(&line);
                        filled.fetch_add(4096, Ordering::Relaxed);
                    }
                });
                String::new()
            }
            "filled" => self.filled.load(Ordering::Relaxed).to_string(),
            "print_at_the_end" => {
                self.context.shutdown_token().cancelled().await;
                // By now everything else that ends has begun to.
                tokio::time::sleep(Duration::from_millis(100)).await;
                println!("{rest}");
                String::new()
            }
            "silence" => {
                let nowhere = std::fs::File::options().write(true).open("/dev/null")?;
                rustix::stdio::dup2_stdout(nowhere).map_err(std::io::Error::from)?;
                String::new()
            }
            "log" => {
                tracing::info!(count = 7, "{rest}");
                String::new()
            }
            "panic" => panic!("{rest}"),
            "sleep" => {
                tokio::time::sleep(Duration::from_millis(number()?)).await;
                "slept".to_owned()
            }
            "block" => {
                // Nothing else tells that it blocks: nothing is answered.
                std::fs::write(std::env::temp_dir().join(BLOCKED), "")?;
                std::thread::sleep(Duration::from_millis(number()?));
                "blocked".to_owned()
            }
            "unwell" => {
                self.context.health.set(rest, ServingStatus::NotServing);
                String::new()
            }
            "serve" => {
                let served =
                    self.context.broker.serve(Services::new().add(SubServer::new(self.clone()))).await;
                let served = served.map_err(|error| Status::unavailable(error.to_string()))?;
                let id = served.id().to_string();
                served.detach();
                id
            }
            "end" => {
                self.context.shutdown_token().cancel();
                String::new()
            }
            _ => format!("hello {order}"),
        })
    }
}

/// The file in the temporary directory that says that a handler is about to block its thread.
const BLOCKED: &str = "blocked";

#[tonic::async_trait]
impl Sub for Orders {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let text = self.carry_out(&request.get_ref().name).await?;
        Ok(Response::new(GreetResponse { text }))
    }

    type TicksStream = BoxStream<TicksResponse>;

    /// Ticks for ever if told to, and ends with the plugin.
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
impl HostCalls for Orders {
    async fn transform(
        &self,
        request: Request<TransformRequest>,
    ) -> Result<Response<TransformResponse>, Status> {
        let TransformRequest { seq, data, .. } = request.into_inner();
        Ok(Response::new(TransformResponse { seq: seq + 1, data, greeting: String::new() }))
    }
}
