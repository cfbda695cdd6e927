//! Metadata of hostile and of ordinary plugins, and what hosts require. The plugin is a script, and its server runs in this process.
#![cfg(unix)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use miette::Diagnostic as _;
use rpcplugin_client::{
    AttachError, Attachment, Command, Host, LaunchError, LaunchFault, MetadataCallError, Plugin,
    RequirementFault, Requirements,
};
use rpcplugin_config::HostTls;
use rpcplugin_core::{Endpoint, MagicCookie, MetadataError, semver::Version};
use rpcplugin_proto::{GetMetadataRequest, GetMetadataResponse, PluginMetadata, PluginMetadataServer};
use rpcplugin_transport::{Listener, Security, Services, SocketDir, http2};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Request, Response, Status};

/// What the plugin answers. `None` is no answer.
type Answer = Option<Result<GetMetadataResponse, Status>>;

struct Service {
    answer: Answer,
    calls: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl PluginMetadata for Service {
    async fn get_metadata(
        &self,
        _: Request<GetMetadataRequest>,
    ) -> Result<Response<GetMetadataResponse>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match &self.answer {
            Some(answer) => answer.clone().map(Response::new),
            None => std::future::pending().await,
        }
    }
}

/// A server in this process, whose endpoint a script prints in its handshake line.
struct Server {
    _task: AbortOnDropHandle<()>,
    _dir: SocketDir,
    calls: Arc<AtomicUsize>,
    endpoint: Endpoint,
}

impl Server {
    /// A server with the metadata service.
    fn new(answer: Answer) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let service = PluginMetadataServer::new(Service { answer, calls: Arc::clone(&calls) });
        Self::of(Services::new().add(service), calls)
    }

    fn of(services: Services, calls: Arc<AtomicUsize>) -> Self {
        let dir = SocketDir::private(None).expect("a directory");
        let listener = Listener::unix_in(&dir).expect("bound");
        let endpoint = listener.endpoint().clone();
        let serving = http2::Serving::new(services, Security::Plain, CancellationToken::new());
        let task = AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving)));
        Self { _task: task, _dir: dir, calls, endpoint }
    }

    fn command(&self) -> Command {
        let line = format!("1|1|unix|{}|grpc|", self.endpoint.address());
        Command::new("/bin/sh").arg("-c").arg(format!("echo '{line}'; exec sleep 60"))
    }
}

fn host() -> Host {
    let cookie = MagicCookie::new("METADATA", "of plugins").expect("a cookie");
    Host::new(cookie, 1).configure(|config| config.tls = HostTls::Plaintext)
}

fn weather(version: &str) -> GetMetadataResponse {
    GetMetadataResponse {
        name: "weather".to_owned(),
        version: version.to_owned(),
        capabilities: vec!["alerts".to_owned()],
        minimum_host_version: Some("2.0.0".to_owned()),
        ..GetMetadataResponse::default()
    }
}

fn requires(server: &Server, version: &str) -> Command {
    server.command().require_version(version.parse().expect("a requirement"))
}

#[track_caller]
fn refused(launched: Result<Plugin, LaunchError>, code: &str) -> RequirementFault {
    let error = launched.expect_err(code);
    assert_eq!(error.code().expect("a code").to_string(), code, "{error:?}");
    assert!(error.help().is_some_and(|help| !help.to_string().is_empty()), "{error:?}");
    match error.fault {
        LaunchFault::Requirement(fault) => fault,
        fault => panic!("{fault:?}"),
    }
}

#[tokio::test]
async fn a_launch_without_requirements_makes_no_call() {
    let server = Server::new(Some(Ok(weather("1.2.0"))));
    let plugin = host().launch(server.command()).await.expect("it starts");
    assert_eq!(server.calls.load(Ordering::SeqCst), 0);
    for _ in 0..2 {
        let metadata = plugin.metadata().await.expect("an answer").expect("it has metadata");
        assert_eq!(metadata.to_string(), "weather 1.2.0");
    }
    assert_eq!(server.calls.load(Ordering::SeqCst), 1, "the second answer is that of the first call");
}

#[tokio::test]
async fn requirements_are_checked_before_the_launch_returns() {
    let server = Server::new(Some(Ok(weather("1.2.0"))));
    let command = requires(&server, ">=1.1, <2").require_capability("alerts");
    let plugin = host().program_version(Version::new(2, 0, 0)).launch(command).await.expect("all fits");
    assert!(plugin.metadata().await.expect("known").is_some());
    assert_eq!(server.calls.load(Ordering::SeqCst), 1);

    let fault =
        refused(host().launch(requires(&server, ">=2, <3")).await, "rpcplugin::protocol::required_version");
    assert_eq!(fault.to_string(), "the plugin weather has version 1.2.0, and this host requires >=2, <3");
    let command = server.command().require_capability("history");
    refused(host().launch(command).await, "rpcplugin::protocol::required_capability");
    let old = host().program_version(Version::new(1, 9, 0));
    let fault = refused(old.launch(server.command()).await, "rpcplugin::protocol::required_host_version");
    assert!(matches!(fault, RequirementFault::HostVersion { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_plugin_without_metadata_is_refused_only_if_something_is_required() {
    let server = Server::of(Services::new(), Arc::default());
    let plugin =
        host().program_version(Version::new(1, 0, 0)).launch(server.command()).await.expect("it starts");
    assert_eq!(plugin.metadata().await.expect("an answer"), None);
    let fault =
        refused(host().launch(requires(&server, "1")).await, "rpcplugin::protocol::required_metadata");
    assert_eq!(fault.to_string(), "the plugin sh reports no metadata, and this host requires version ^1");
}

#[tokio::test]
async fn invalid_metadata_is_an_error_that_names_the_value() {
    let mut many = weather("1.2.0");
    many.capabilities = (0..100).map(|n| n.to_string()).collect();
    let mut strange = weather("1.2.0");
    strange.name = "\u{1b}[2J".to_owned();
    for (answer, code) in [
        (weather("latest"), "rpcplugin::protocol::metadata_version"),
        (weather(""), "rpcplugin::protocol::metadata_missing"),
        (weather(&format!("1.0.0-{}", "x".repeat(200))), "rpcplugin::protocol::metadata_too_long"),
        (many, "rpcplugin::protocol::metadata_too_many"),
        (strange, "rpcplugin::protocol::metadata_character"),
    ] {
        let server = Server::new(Some(Ok(answer)));
        let fault = refused(host().launch(requires(&server, "1")).await, code);
        assert!(!fault.to_string().contains('\u{1b}'), "{fault}");
        let plugin = host().launch(server.command()).await.expect("nothing is required");
        let error = plugin.metadata().await.expect_err(code);
        assert!(matches!(error, MetadataCallError::Invalid(_)), "{error:?}");
    }
    let server = Server::new(Some(Ok(weather("1.2"))));
    let plugin = host().launch(server.command()).await.expect("nothing is required");
    let error = plugin.metadata().await.expect_err("no version");
    assert!(matches!(error, MetadataCallError::Invalid(MetadataError::Version { .. })), "{error:?}");
}

#[tokio::test]
async fn calls_that_fail_have_their_codes() {
    let mut long = weather("1.2.0");
    long.capabilities = (0..3000).map(|n| format!("{n:0>40}")).collect();
    let failing = [Err(Status::permission_denied("not for you")), Ok(long)];
    for answer in failing {
        let server = Server::new(Some(answer));
        let fault =
            refused(host().launch(requires(&server, "1")).await, "rpcplugin::protocol::metadata_call");
        assert!(matches!(fault, RequirementFault::Metadata(MetadataCallError::Failed(_))), "{fault:?}");
    }
    let server = Server::new(None);
    let host = host().configure(|config| config.admin_timeout = Duration::from_millis(50));
    refused(host.launch(requires(&server, "1")).await, "rpcplugin::protocol::metadata_timeout");
    let plugin = host.launch(server.command()).await.expect("nothing is required");
    let error = plugin.metadata().await.expect_err("no answer");
    assert!(matches!(error, MetadataCallError::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn attachments_have_requirements_too() {
    let server = Server::new(Some(Ok(weather("1.2.0"))));
    let attachment = Attachment::new(server.endpoint.clone(), 1);
    let fits = attachment.clone().require_version("1.2".parse().expect("a requirement"));
    host().attach(fits.require_capability("alerts")).await.expect("it fits");
    let unfit = attachment.clone().require_version("2".parse().expect("a requirement"));
    let error = host().attach(unfit).await.expect_err("too old");
    let AttachError::Refused { source: LaunchFault::Requirement(fault), .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(fault, RequirementFault::Version { .. }), "{fault:?}");
    let old = host().program_version(Version::new(1, 0, 0)).attach(attachment).await;
    assert!(matches!(old, Err(AttachError::Refused { .. })), "{old:?}");
}

#[tokio::test]
async fn supervised_plugins_are_checked_at_every_start() {
    let server = Server::new(Some(Ok(weather("1.2.0"))));
    let host = host().configure(|config| config.supervision.initial = Duration::from_millis(1));
    let supervised = host.supervise(requires(&server, "1")).await.expect("it fits");
    let first = server.calls.load(Ordering::SeqCst);
    assert_eq!(first, 1);
    supervised.restart().await;
    let second = supervised.later_generation(1).await.expect("a second generation");
    assert!(second.metadata().await.expect("known").is_some());
    assert_eq!(server.calls.load(Ordering::SeqCst), 2);
    let refused = host.supervise(requires(&server, "2")).await.expect_err("too old");
    assert_eq!(refused.code().expect("a code").to_string(), "rpcplugin::protocol::required_version");
}

#[test]
fn requirements_that_will_not_be_met_later_do_not_pass() {
    let missing =
        || RequirementFault::NoMetadata { plugin: "p".into(), required: Requirements::new().to_string() };
    assert!(!LaunchFault::from(missing()).may_pass());
    let late = RequirementFault::Metadata(MetadataCallError::Timeout(Duration::from_secs(1)));
    assert!(LaunchFault::from(late).may_pass());
}
