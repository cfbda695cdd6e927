//! The plugin and its host in one process: quick, and with a debugger that sees both.

use rpcplugin::testing::InProcess;
use rpcplugin::{Exit, Plugin};

use __snake___host::{greet, greet_all, host};
use __snake___plugin::serve;
use __snake___protocol::{Progress, greeter_client::GreeterClient};

async fn launch() -> Plugin {
    let plugin = InProcess::new(serve);
    host().unwrap().launch_with(&plugin).await.unwrap()
}

#[tokio::test]
async fn the_host_receives_the_greeting_and_the_errors_of_the_plugin() {
    let plugin = launch().await;
    let mut greeter = GreeterClient::new(plugin.channel());
    assert_eq!(greet(&mut greeter, "Ada").await.unwrap(), "Hello, Ada!");
    let error = greet(&mut greeter, "").await.unwrap_err();
    assert_eq!(error.message(), "the name is empty");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn the_host_receives_the_progress() {
    let plugin = launch().await;
    let mut greeter = GreeterClient::new(plugin.channel());
    let names = ["Ada".to_owned(), "Grace".to_owned()];
    let mut seen = Vec::new();
    let show = |progress: Progress| seen.push((progress.done, progress.total));
    greet_all(&mut greeter, &names, show).await.unwrap();
    assert_eq!(seen, [(1, 2), (2, 2)]);
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}
