//! What a plugin in a container can not see and do.

use rpcplugin_tests::pb::EnvRequest;

use super::*;

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn the_process_has_no_capabilities_no_network_and_a_read_only_root() {
    let place = Place::new();
    let plugin = place.launch(&rust().memory(64 << 20).pids(50).cpus(0.5)).await.unwrap();
    let container = name(&plugin);
    let pid = podman::pid(&container);
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let status = read("status");
    let line =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    for set in ["CapEff:", "CapPrm:", "CapBnd:", "CapInh:"] {
        assert_eq!(line(set), "0000000000000000", "{set}");
    }
    assert_eq!(line("NoNewPrivs:"), "1");
    assert_ne!(line("Seccomp:"), "0");
    let devices: Vec<_> = read("net/dev").lines().skip(2).map(|line| line.trim().to_owned()).collect();
    assert!(devices.len() == 1 && devices[0].starts_with("lo:"), "{devices:?}");
    let mounts = read("mounts");
    let options = |path: &str| {
        let mut lines = mounts.lines().filter(|line| line.split(' ').nth(1) == Some(path));
        lines.next_back().unwrap_or_default().split(' ').nth(3).unwrap_or_default().to_owned()
    };
    assert!(options("/").starts_with("ro"), "{mounts}");
    assert!(options("/tmp").starts_with("rw") && options("/run/rpcplugin").starts_with("rw"), "{mounts}");
    let inspected = podman::output(&format!(
        "inspect --format {{{{.HostConfig.Memory}}}},{{{{.HostConfig.MemorySwap}}}},{{{{.HostConfig.PidsLimit}}}},\
         {{{{.HostConfig.NanoCpus}}}} {container}"
    ));
    assert_eq!(inspected, "67108864,67108864,50,500000000");
    plugin.shut_down().await;
    place.is_empty(&container).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn nothing_of_the_hosts_environment_is_passed_on() {
    let place = Place::new();
    let plugin = place.launch(&rust().env("GIVEN", "yes")).await.unwrap();
    let mut kit = KitClient::new(plugin.channel());
    let mut value = async |name: &str| {
        let found = kit.env(EnvRequest { name: name.to_owned() }).await.unwrap().into_inner();
        found.present.then_some(found.value)
    };
    assert_eq!(value("GIVEN").await.as_deref(), Some("yes"));
    assert_eq!(value("TMPDIR").await.as_deref(), Some(rpcplugin::docker::SOCKET_DIR));
    // This test has these.
    for name in ["RPCPLUGIN_TEST_ENGINE", "CONTAINERS_CONF", "CARGO_MANIFEST_DIR"] {
        assert_eq!(value(name).await, None, "{name}");
    }
    assert_eq!(value("PLUGIN_ORPHAN_TIMEOUT").await.as_deref(), Some("60s"));
    let container = name(&plugin);
    plugin.shut_down().await;
    place.is_empty(&container).await;
}
