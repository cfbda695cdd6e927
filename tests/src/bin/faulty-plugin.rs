//! A plugin with the fault in its first argument, for tests of hosts.

use std::process::ExitCode;

use rpcplugin::{
    MagicCookie, Serve, Services,
    config::Loader,
    hclog::Sink as _,
    plugin::{OriginalStderr, ServingStatus},
};
use rpcplugin_tests::os::join_group_of_parent;

fn main() -> ExitCode {
    let fault = std::env::args().nth(1).unwrap_or_default();
    let cookie = MagicCookie::new("FAULTY_PLUGIN", "cookie").expect("a key and a value");
    if fault == "leaves" {
        // The host cannot kill the plugin through its group.
        join_group_of_parent().expect("a parent process of the same session");
    }
    assert!(fault != "panics", "there is no\nconfiguration \u{1b}[31m");
    let stderr = OriginalStderr::get().expect("a stderr");
    let within = fault == "main-within";
    let serve =
        Serve::new(cookie).load_config(&Loader::new().process_env()).version_with(1, move |context| {
            match &*fault {
                "unhealthy" => context.health.set("plugin", ServingStatus::NotServing),
                "healthy" | "leaves" | "main-within" => {}
                "logs" => tracing::info!(word = "a", count = 1, ok = true, "added"),
                "panics-serving" => panic!("there is no database"),
                "stdin" => {
                    // Logs the first line of stdin.
                    std::thread::spawn(move || {
                        let mut line = String::new();
                        let _ = std::io::stdin().read_line(&mut line);
                        stderr.write_line(format!("read {line:?}\n").as_bytes());
                    });
                }
                other => stderr.write_line(format!("unknown fault {other:?}\n").as_bytes()),
            }
            Services::new()
        });
    if within {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("free descriptors");
        return runtime.block_on(async { serve.main() });
    }
    serve.main()
}
