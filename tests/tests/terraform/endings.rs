//! Plugins that crash, that are interrupted, or that serve many calls at the same time.

use std::time::{Duration, Instant};

use super::workdir::{Outcome, Workdir, same};

/// A crash of the plugin is reported with its trace, and does not affect the next run.
pub(crate) fn crash(place: &Workdir) -> Outcome {
    place.configure("data \"demo_crash\" \"c\" {\n  message = \"at the disco\"\n}\n")?;
    let ended = place.terraform_uncertain("plan")?;
    same("status", ended.status, Some(1))?;
    if !ended.printed("Plugin did not respond") {
        ended.must_print("Request cancelled")?;
    }
    ended.must_print("Stack trace from the terraform-provider-demo plugin:")?;
    ended.must_print("panic: at the disco goroutine 1 [running]: main.main()")?;
    ended.must_print("Error: The terraform-provider-demo plugin crashed!")?;
    same("what the host knows of its end", ended.log.text.contains("exit status 2"), true)?;
    // The next plugin starts normally.
    place.configure("data \"demo_echo\" \"e\" {\n  text = \"x\"\n}\n")?;
    place.succeeds("plan")?;
    Ok(())
}

/// A panic in Rust fails its call. Terraform shows the message and the trace, and the plugin exits cleanly.
pub(crate) fn panic(place: &Workdir) -> Outcome {
    place.configure("data \"demo_panic\" \"p\" {\n  message = \"at the disco\"\n}\n")?;
    let ended = place.fails("plan", "the handler panicked: at the disco")?;
    ended.must_print("Stack trace from the terraform-provider-demo plugin:")?;
    ended.must_print("panic: at the disco thread ")?;
    ended.must_print("data_sources.rs:")
}

/// The variables choose the protocol version and TLS.
pub(crate) fn modes(place: &Workdir) -> Outcome {
    place.configure("data \"demo_echo\" \"e\" {\n  text = \"x\"\n}\n")?;
    for (protocols, disabled, version, security) in
        [("5,6", "", 6, 1), ("6,5", "1", 6, 0), ("5", "", 5, 1), ("5", "1", 5, 0)]
    {
        place.set("DEMO_PROTOCOLS", protocols);
        place.set("TF_DISABLE_PLUGIN_TLS", disabled);
        let log = place.succeeds("validate")?.log;
        let records = log.with_message("using plugin");
        let versions: Vec<_> = records.iter().map(|record| record["version"].as_u64()).collect();
        same("versions", versions, [Some(version); 2])?;
        same("secured", log.count("configuring client automatic mTLS"), 2 * security)?;
    }
    Ok(())
}

/// Ctrl-C reaches Terraform and the plugin. The plugin waits for the decision of Terraform.
pub(crate) fn stop(place: &Workdir) -> Outcome {
    place.configure("data \"demo_slow\" \"s\" {\n  seconds = 60\n}\n")?;
    let begin = Instant::now();
    let mut running = place.start("plan")?;
    running.until_logged("GRPCProvider.v6: ReadDataSource")?;
    running.interrupt()?;
    let ended = running.ended()?;
    same("status", ended.status, Some(1))?;
    ended.must_print("Interrupt received.")?;
    ended.must_print("Error: Stopped")?;
    same("it took less than the minute", begin.elapsed() < Duration::from_secs(30), true)?;
    ended.log.check_good_endings()
}

/// Hundreds of calls, sixty at a time.
pub(crate) fn many(place: &Workdir) -> Outcome {
    place.configure(
        "resource \"demo_thing\" \"a\" {\n  count = 300\n  name  = \"thing ${count.index}\"\n  size  = count.index\n}\n",
    )?;
    place.succeeds("apply -auto-approve -parallelism=60")?.must_print("Resources: 300 added")?;
    same("files in the store", place.stored()?.len(), 300)?;
    same("instances in the state", place.instances("a")?.len(), 300)?;
    place.succeeds("plan -detailed-exitcode -parallelism=60")?.must_print("No changes.")?;
    place.succeeds("destroy -auto-approve -parallelism=60")?.must_print("Resources: 300 destroyed.")?;
    same("the store", place.stored()?, Vec::<String>::new())
}

/// Terraform names no directory for sockets, but its environment can.
pub(crate) fn socket_directory(place: &Workdir) -> Outcome {
    let directory = place.path("sockets");
    std::fs::create_dir(&directory)?;
    place.configure("data \"demo_echo\" \"e\" {\n  text = \"x\"\n}\n")?;
    let named = directory.display().to_string();
    place.set("PLUGIN_UNIX_SOCKET_DIR", &named);
    let log = place.succeeds("validate")?.log;
    let records = log.with_message("plugin address");
    let inside = records.iter().filter_map(|record| record["address"].as_str());
    same("sockets in it", inside.filter(|address| address.starts_with(&named)).count(), 2)?;
    same("what is left in it", std::fs::read_dir(&directory)?.count(), 0)
}
