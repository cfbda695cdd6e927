//! Instances: several values in one plugin process, each with its configuration, its calls and its log records.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use miette::Diagnostic;
use rpcplugin::{
    Command, Host, MagicCookie, Plugin, PluginChannel,
    broker::ServiceId,
    config::ByteSize,
    host::{Handover, InstanceConfiguration, InstanceError, InstanceRemoval, LogRecord, Observer, Stdin},
};
use rpcplugin_proto::{CreateInstanceRequest, InstancesClient, RemoveInstanceRequest};
use rpcplugin_tests::{
    pb::{CloseRequest, GreetRequest, TicksRequest, sub_client::SubClient},
    support::{TIMEOUT, conformance, programs, wait::eventually},
};
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::{Code, Status};

/// An observer of logs.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<LogRecord>>>);

impl Observer for Logged {
    fn log(&self, record: &LogRecord) {
        self.0.lock().unwrap().push(record.clone());
    }
}

impl Logged {
    /// The field `instance` of each record with this message.
    fn instances(&self, message: &str) -> Vec<Option<String>> {
        let records = self.0.lock().unwrap();
        let records = records.iter().filter(|record| record.message == message);
        let instance = |record: &LogRecord| {
            let field = record.fields.iter().find(|(name, _)| name == "instance");
            field.map(|(_, value)| value.trim_matches('"').to_owned())
        };
        records.map(instance).collect()
    }

    async fn until_logged(&self, message: &str) {
        eventually(message, || !self.instances(message).is_empty()).await;
    }
}

fn host() -> Host {
    Host::new(MagicCookie::new("INSTANCES_PLUGIN", "yes").unwrap(), 1)
}

fn command() -> Command {
    Command::new(programs::program("instances-plugin")).stdin(Stdin::Null)
}

async fn launch() -> (Plugin, Logged) {
    let logged = Logged::default();
    let plugin =
        host().observe(logged.clone()).launch(command().env("PLUGIN_LOG_LEVEL", "debug")).await.unwrap();
    (plugin, logged)
}

fn configuration(settings: &Value) -> InstanceConfiguration {
    InstanceConfiguration::json(settings).unwrap()
}

fn greeting(words: &str) -> InstanceConfiguration {
    configuration(&json!({ "greeting": words }))
}

async fn greet(channel: PluginChannel, name: &str) -> Result<String, Status> {
    let request = GreetRequest { name: name.to_owned() };
    timeout(TIMEOUT, SubClient::new(channel).greet(request)).await.unwrap().map(|said| said.into_inner().text)
}

async fn alive(plugin: &Plugin) -> String {
    greet(plugin.channel(), "alive").await.unwrap()
}

fn code(error: &InstanceError) -> String {
    assert!(error.help().is_some(), "{error}");
    error.code().unwrap().to_string()
}

#[tokio::test]
async fn each_instance_has_its_configuration_and_its_log_records() {
    let (plugin, logged) = launch().await;
    let english = plugin.create_instance("people/ada", greeting("Hello")).await.unwrap();
    let french = plugin.create_instance("people/blaise", greeting("Bonjour")).await.unwrap();
    let (hello, bonjour) = tokio::join!(greet(english.channel(), "Grace"), greet(french.channel(), "Sophie"));
    assert_eq!((hello.unwrap().as_str(), bonjour.unwrap().as_str()), ("Hello, Grace!", "Bonjour, Sophie!"));
    let ids = plugin.instances().await.unwrap();
    assert_eq!(ids, [english.id().clone(), french.id().clone()]);
    // A handle without a call, as after an attach.
    let again = plugin.instance("people/ada").unwrap();
    assert_eq!(greet(again.channel(), "Mary").await.unwrap(), "Hello, Mary!");

    let mut ticks = SubClient::new(french.channel()).ticks(TicksRequest { n: 2 }).await.unwrap().into_inner();
    while ticks.message().await.unwrap().is_some() {}
    let id: u32 = greet(plugin.channel(), "serve").await.unwrap().parse().unwrap();
    let brokered = french.channel_over(plugin.broker().dial(ServiceId(id)).await.unwrap());
    assert_eq!(greet(brokered, "Emilie").await.unwrap(), "Bonjour, Emilie!");

    plugin.shut_down().await;
    let (ada, blaise) = (Some("people/ada".to_owned()), Some("people/blaise".to_owned()));
    for level in ["error", "warn", "info", "debug"] {
        assert_eq!(logged.instances(&format!("{level} Grace")), std::slice::from_ref(&ada));
        assert_eq!(logged.instances(&format!("{level} Sophie")), std::slice::from_ref(&blaise));
    }
    assert_eq!(logged.instances("info Emilie"), std::slice::from_ref(&blaise), "brokered services too");
    assert_eq!(logged.instances("tick"), vec![blaise.clone(); 3], "streams too");
    assert_eq!(logged.instances("making an instance"), [ada, blaise]);
}

#[tokio::test]
async fn records_have_the_instance_whatever_level_the_log_has() {
    let logged = Logged::default();
    let command = command().env("PLUGIN_LOG_LEVEL", "error");
    let plugin = host().observe(logged.clone()).launch(command).await.unwrap();
    let instance = plugin.create_instance("a", greeting("Hi")).await.unwrap();
    greet(instance.channel(), "x").await.unwrap();
    plugin.shut_down().await;
    assert_eq!(logged.instances("error x"), [Some("a".to_owned())]);
    assert!(logged.instances("info x").is_empty());
}

#[tokio::test]
async fn calls_that_name_no_instance_are_refused() {
    let (plugin, _) = launch().await;
    let status = greet(plugin.channel(), "x").await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("rpcplugin-instance"), "{status:?}");
    let status = greet(plugin.instance("nowhere").unwrap().channel(), "x").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "the plugin has no instance nowhere"));
    plugin.shut_down().await;
}

#[tokio::test]
async fn bad_ids_are_refused_on_both_sides() {
    let (plugin, logged) = launch().await;
    let long = "x".repeat(129);
    for id in ["", " ", "a b", "a\n{\"@message\":\"injected\"}", "\u{1b}[2J", "é", &long] {
        let error = plugin.create_instance(id, greeting("Hi")).await.unwrap_err();
        assert_eq!(code(&error), "rpcplugin::instance::invalid_id");
        assert!(!error.to_string().chars().any(char::is_control), "{error}");
        // A host that does not check.
        let mut raw = InstancesClient::new(plugin.channel());
        let create = CreateInstanceRequest { id: id.to_owned(), ..CreateInstanceRequest::default() };
        let remove = RemoveInstanceRequest { id: id.to_owned(), grace_ms: 0 };
        for status in [raw.create(create).await.unwrap_err(), raw.remove(remove).await.unwrap_err()] {
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(!status.message().chars().any(char::is_control), "{status:?}");
        }
    }
    // Metadata that HTTP/2 carries, and that is not an id.
    for id in [&b"a\tb"[..], b"", "\u{9b}31m".as_bytes(), long.as_bytes()] {
        let value = http::HeaderValue::from_bytes(id).unwrap();
        let channel =
            plugin.channel().with_header(http::HeaderName::from_static("rpcplugin-instance"), value);
        let status = greet(channel, "x").await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(!status.message().chars().any(char::is_control), "{status:?}");
    }
    assert_eq!(plugin.instances().await.unwrap(), []);
    plugin.shut_down().await;
    assert!(logged.instances("injected").is_empty());
}

#[tokio::test]
async fn a_failed_creation_has_its_reason_and_leaves_nothing() {
    let (plugin, logged) = launch().await;
    let secret = "correct horse battery staple";
    for (settings, error, reason) in [
        (json!({ "fault": "x", "secret": secret }), "refused", "missing field `greeting`"),
        (json!({ "greeting": 1, "secret": secret }), "refused", "a value of the wrong type"),
        (json!({ "greeting": "x", "fault": "refuse", "secret": secret }), "refused", "not this one"),
        (json!({ "greeting": "x", "fault": "panic", "secret": secret }), "refused", "as configured"),
        (json!({ "greeting": "x", "fault": "unimplemented", "secret": secret }), "refused", "not yet"),
    ] {
        let failed = plugin.create_instance("a", configuration(&settings)).await.unwrap_err();
        assert_eq!(code(&failed), format!("rpcplugin::instance::{error}"), "{failed:?}");
        let InstanceError::Refused { source, .. } = &failed else { panic!("{failed:?}") };
        assert!(source.message().contains(reason), "{source:?}");
        assert!(!format!("{failed:?}").contains(secret), "{failed:?}");
    }
    let never = configuration(&json!({ "greeting": "x", "fault": "never", "secret": secret }));
    let cancelled = timeout(Duration::from_millis(100), plugin.create_instance("a", never.clone())).await;
    assert!(cancelled.is_err());
    // The id is free when the plugin has noticed.
    let working = configuration(&json!({ "greeting": "Hi", "secret": secret }));
    let made = timeout(TIMEOUT, async {
        loop {
            match plugin.create_instance("a", working.clone()).await {
                Ok(made) => return made,
                Err(error) => assert_eq!(code(&error), "rpcplugin::instance::exists"),
            }
        }
    });
    let made = made.await.unwrap();
    assert_eq!(alive(&plugin).await, "1");
    assert_eq!(greet(made.channel(), "secret").await.unwrap(), "28 characters");
    plugin.shut_down().await;
    let records = logged.0.lock().unwrap();
    assert!(records.iter().any(|record| record.message == "making an instance"));
    let leak = records.iter().find(|record| format!("{record:?}").contains(secret));
    assert!(leak.is_none(), "{leak:?}");
}

#[tokio::test]
async fn a_creation_that_takes_too_long_is_given_up() {
    let impatient = host().configure(|config| config.launch_timeout = Duration::from_secs(3));
    let plugin = impatient.launch(command()).await.unwrap();
    let never = configuration(&json!({ "greeting": "x", "fault": "never" }));
    let error = timeout(TIMEOUT, plugin.create_instance("a", never)).await.unwrap().unwrap_err();
    assert_eq!(code(&error), "rpcplugin::instance::timeout");
    assert_eq!(plugin.instances().await.unwrap(), []);
    plugin.shut_down().await;
}

#[tokio::test]
async fn the_number_of_instances_and_the_size_of_configurations_are_limited() {
    let (plugin, _) = launch().await;
    let create = async |number: u32| plugin.create_instance(format!("i{number}"), greeting("Hi")).await;
    for number in 0..100 {
        create(number).await.unwrap();
    }
    for number in 100..1_100 {
        let error = create(number).await.unwrap_err();
        assert!(matches!(error, InstanceError::Limit { .. }), "{error:?}");
    }
    assert_eq!(code(&create(1_000_000).await.unwrap_err()), "rpcplugin::instance::limit");
    assert_eq!(alive(&plugin).await, "100");
    assert_eq!(plugin.instance("i7").unwrap().remove().await.unwrap(), InstanceRemoval::Unused);
    let huge = greeting(&"x".repeat(5 << 20));
    let error = plugin.create_instance("huge", huge).await.unwrap_err();
    assert_eq!(code(&error), "rpcplugin::instance::limit");
    plugin.create_instance("large", greeting(&"x".repeat(3 << 20))).await.unwrap();
    assert_eq!(alive(&plugin).await, "100");
    plugin.shut_down().await;

    let small = host().configure(|config| config.max_send_message_size = Some(ByteSize::kib(64)));
    let plugin = small.launch(command()).await.unwrap();
    let error = plugin.create_instance("huge", greeting(&"x".repeat(1 << 20))).await.unwrap_err();
    assert_eq!(code(&error), "rpcplugin::instance::limit");
    assert_eq!(alive(&plugin).await, "0");
    plugin.shut_down().await;
}

#[tokio::test]
async fn a_removal_ends_streams_and_waits_for_calls() {
    let (plugin, logged) = launch().await;
    let instance = plugin.create_instance("a", greeting("Hi")).await.unwrap();
    let mut ticks =
        SubClient::new(instance.channel()).ticks(TicksRequest { n: -1 }).await.unwrap().into_inner();
    assert_eq!(ticks.message().await.unwrap().unwrap().value, 0);
    let waiting = tokio::spawn(greet(instance.channel(), "wait"));
    logged.until_logged("waiting").await;

    assert_eq!(instance.remove().await.unwrap(), InstanceRemoval::Unused);
    assert_eq!(alive(&plugin).await, "0");
    assert_eq!(waiting.await.unwrap().unwrap(), "removed");
    while ticks.message().await.unwrap().is_some() {}
    assert_eq!(greet(instance.channel(), "x").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(code(&instance.remove().await.unwrap_err()), "rpcplugin::instance::unknown");
    plugin.create_instance("a", greeting("Hello")).await.unwrap();
    assert_eq!(greet(instance.channel(), "again").await.unwrap(), "Hello, again!");
    plugin.shut_down().await;
}

#[tokio::test]
async fn a_call_that_ignores_the_removal_keeps_its_instance() {
    let (plugin, logged) = launch().await;
    let instance = plugin.create_instance("a", greeting("Hi")).await.unwrap();
    let channel = instance.channel();
    let ignoring =
        tokio::spawn(async move { SubClient::new(channel).close(CloseRequest {}).await.map(drop) });
    logged.until_logged("ignoring all").await;
    assert_eq!(instance.remove().await.unwrap(), InstanceRemoval::InUse);
    assert_eq!(alive(&plugin).await, "1");
    ignoring.abort();
    let gone = async { while alive(&plugin).await != "0" {} };
    timeout(TIMEOUT, gone).await.unwrap();
    plugin.shut_down().await;
}

#[tokio::test]
async fn a_handler_can_remove_its_own_instance() {
    let (plugin, _) = launch().await;
    let instance = plugin.create_instance("a", greeting("Hi")).await.unwrap();
    assert_eq!(greet(instance.channel(), "remove yourself").await.unwrap(), "true");
    assert_eq!(greet(instance.channel(), "x").await.unwrap_err().code(), Code::NotFound);
    let gone = async { while alive(&plugin).await != "0" {} };
    timeout(TIMEOUT, gone).await.unwrap();
    plugin.shut_down().await;
}

#[tokio::test]
async fn a_shutdown_ends_calls_that_wait_for_the_removal() {
    let (plugin, logged) = launch().await;
    let instance = plugin.create_instance("a", greeting("Hi")).await.unwrap();
    let waiting = tokio::spawn(greet(instance.channel(), "wait"));
    logged.until_logged("waiting").await;
    assert_eq!(plugin.shut_down().await.to_string(), "ended cleanly");
    assert_eq!(waiting.await.unwrap().unwrap(), "removed");
}

#[tokio::test]
async fn all_hosts_of_a_plugin_share_its_instances() {
    let outliving = host().configure(|config| config.die_with_host = false);
    let command = command().env("PLUGIN_EXIT_WITH_HOST", "false");
    let first = outliving.launch(command).await.unwrap();
    first.create_instance("a", greeting("Hello")).await.unwrap();
    let handed_over = first.hand_over().await.unwrap().to_json();
    let second = outliving.attach(Handover::parse(&handed_over).unwrap()).await.unwrap();
    let error = second.create_instance("a", greeting("Hi")).await.unwrap_err();
    assert_eq!(code(&error), "rpcplugin::instance::exists");
    assert_eq!(greet(second.instance("a").unwrap().channel(), "Ada").await.unwrap(), "Hello, Ada!");
    second.shut_down().await;
}

#[tokio::test]
async fn a_plugin_without_instances_says_so() {
    let plugin = conformance::host().launch(Command::new(programs::program("kit-plugin"))).await.unwrap();
    for error in [
        plugin.create_instance("a", greeting("Hi")).await.unwrap_err(),
        plugin.instance("a").unwrap().remove().await.unwrap_err(),
        plugin.instances().await.unwrap_err(),
    ] {
        assert_eq!(code(&error), "rpcplugin::instance::unsupported");
        assert_eq!(error.to_string(), "the plugin has no instances");
    }
    plugin.shut_down().await;
}

#[tokio::test]
async fn a_plugin_that_has_exited_is_unreachable() {
    let (plugin, _) = launch().await;
    let instance = plugin.create_instance("a", greeting("Hi")).await.unwrap();
    assert!(greet(plugin.channel(), "crash").await.is_err());
    let error = instance.remove().await.unwrap_err();
    assert_eq!(code(&error), "rpcplugin::instance::unreachable");
    let InstanceError::Unreachable(status) = &error else { panic!("{error:?}") };
    assert!(status.message().contains("has ended"), "{status:?}");
}

#[tokio::test]
async fn supervised_instances_are_created_again_in_each_generation() {
    let logged = Logged::default();
    let plugin = host().observe(logged.clone()).supervise(command()).await.unwrap();
    let kept = plugin.create_instance("kept", greeting("Hello")).await.unwrap();
    let removed = plugin.create_instance("removed", greeting("Hi")).await.unwrap();
    let refused = plugin.create_instance("refused", configuration(&json!({}))).await.unwrap_err();
    assert_eq!(code(&refused), "rpcplugin::instance::refused");
    assert_eq!(removed.remove().await.unwrap(), InstanceRemoval::Unused);
    for generation in 1..4 {
        assert_eq!(greet(kept.channel(), "Ada").await.unwrap(), "Hello, Ada!");
        assert_eq!(plugin.instances().await.unwrap(), [kept.id().clone()]);
        assert!(greet(plugin.channel(), "crash").await.is_err());
        // The call waits for the next generation, which has the instance.
        assert_eq!(greet(kept.channel(), "Grace").await.unwrap(), "Hello, Grace!");
        assert_eq!(plugin.generation().unwrap().number(), generation + 1);
    }
    assert!(greet(plugin.channel(), "crash").await.is_err());
    let made_while_down = plugin.create_instance("late", greeting("Salut")).await.unwrap();
    assert_eq!(greet(made_while_down.channel(), "Ada").await.unwrap(), "Salut, Ada!");
    assert_eq!(kept.remove().await.unwrap(), InstanceRemoval::Unused);
    assert!(plugin.restart().await);
    assert_eq!(plugin.instances().await.unwrap(), [made_while_down.id().clone()]);
    plugin.shut_down().await;
}

#[tokio::test]
async fn a_host_in_go_creates_instances_and_reads_their_records() {
    let Some(host) = programs::peer("go", "instances-host") else { return };
    let mut command = tokio::process::Command::new(host);
    command.arg(programs::program("instances-plugin")).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(TIMEOUT, command.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(
        lines,
        [
            "people/ada: Hello, Grace!",
            "people/blaise: Bonjour, Grace!",
            "instances: [people/ada people/blaise]",
            "twice: AlreadyExists",
            "bad id: InvalidArgument",
            "without an instance: InvalidArgument",
            "removed people/ada, in use: false",
            "after the removal: NotFound",
            "record of people/ada: info Grace",
            "record of people/blaise: info Grace",
        ]
    );
}
