//! A host that starts one plugin in a pod, and shows how it answers and ends.
//!
//! ```text
//! cargo run -p rpcplugin-kube --example pod -- registry.example/kv-plugin:1 KV_PLUGIN=hello
//! ```
//!
//! The cluster is that of the kubeconfig. The second argument is the plugin's magic cookie. The plugin speaks version 1 of its protocol.
#![expect(clippy::print_stdout, reason = "the program prints for people")]

use miette::{IntoDiagnostic as _, Result, miette};
use rpcplugin::{Host, MagicCookie};
use rpcplugin_kube::{Limits, Pod, Pull};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = || miette!("usage: pod IMAGE COOKIE_NAME=COOKIE_VALUE");
    let image = args.next().ok_or_else(usage)?;
    let cookie = args.next().ok_or_else(usage)?;
    let (name, value) = cookie.split_once('=').ok_or_else(usage)?;

    let pod = Pod::new(image)
        .pull(Pull::IfMissing)
        .limits(Limits::new().memory(64 << 20).cpus(0.5))
        .label("app", "kv-plugin");
    // Callbacks and brokered services share the one connection that the host opens.
    let host = Host::new(MagicCookie::new(name, value)?, 1).configure(|config| config.multiplex = true);
    let plugin = host.launch_with(&pod).await?;
    println!("the plugin answers in {:?}", plugin.ping().await.into_diagnostic()?);
    println!("the plugin {}", plugin.shut_down().await);
    Ok(())
}
