//! Faults of the whole host: it has no descriptors, its disk is full, its clock changes, or it is killed.

use std::{
    fs, io,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use rpcplugin::Exit;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::{sleep, timeout},
};

use crate::{
    soak::{
        brokered,
        caller::Caller,
        calls, clock,
        launching::{self, files, group_is_gone},
        limits::Lowered,
        plan::{Language, LifeId, Mode, rng},
        world::{GONE, World},
    },
    support::wait::holds_within,
};

/// What the slot of these faults needs.
#[derive(Debug)]
pub(crate) struct WholeHost {
    /// A small file system, if it could be made.
    pub(crate) disk: Option<SmallDisk>,
    /// Whether the clock of the machine may be set.
    pub(crate) changes_clock: bool,
}

/// Injects one fault, and shows that all works after it.
pub(crate) async fn fault(world: &Arc<World>, id: &LifeId, whole: &WholeHost) {
    let rng = &mut rng(world.seed, id);
    let language = if rng.u8(..4) == 0 { Language::Go } else { Language::Rust };
    let mode = Mode { auto_mtls: rng.bool(), ..Mode::default() };
    let kind = rng.u8(..4);
    let who = format!("fault {id} of the host (kind {kind}, {language:?}, {mode:?})");
    match (kind, &whole.disk) {
        (0, _) => no_descriptors(world, &who, rng, mode, language).await,
        (1, Some(disk)) => full_disk(world, &who, disk, mode, language).await,
        (2, _) if whole.changes_clock => clock_changes(world, &who, rng, mode, language).await,
        _ => host_is_killed(world, &who, rng).await,
    }
    sleep(Duration::from_millis(rng.u64(..2000))).await;
}

/// A launch while the host can open only some more files, and one after it.
async fn no_descriptors(world: &Arc<World>, who: &str, rng: &mut Rng, mode: Mode, language: Language) {
    world.counts.fault("no descriptors in the host");
    let host = launching::host(world, mode);
    world.storm_changes();
    let lowered = Lowered::own_files(rng.u64(..16));
    let launched = match &lowered {
        Ok(_) => launching::refused(world, who, &host, language).await,
        Err(error) => {
            world.broken(who, format_args!("the limit of files: {error}"));
            None
        }
    };
    drop(lowered);
    world.storm_changes();
    if let Some(plugin) = launched {
        plugin.shut_down().await;
    }
    works(world, who, &host, language).await;
}

/// Launches and brokered connections while no file can be made where sockets are, and after it.
async fn full_disk(world: &Arc<World>, who: &str, disk: &SmallDisk, mode: Mode, language: Language) {
    world.counts.fault("disk full");
    let host = launching::host(world, mode).configure(|config| config.unix_socket_dir = Some(disk.0.clone()));
    let filled = disk.fill();
    if let Some(plugin) = launching::refused(world, who, &host, language).await {
        world.broken(who, "a plugin has a socket on a disk that is full");
        plugin.shut_down().await;
    }
    drop(filled);
    let Some(plugin) = launching::launch(world, who, &host, language).await else { return };
    let caller = Caller::new(world, plugin.channel(), who);
    let filled = disk.fill();
    calls::unary(&caller, 2, 5, 1).await;
    if let Some(Err(failed)) = brokered::try_open_sub(&caller, plugin.broker(), 1).await {
        world.counts.code(format_args!("{:?} with a full disk", failed.status.code()));
    }
    drop(filled);
    brokered::open_sub(&caller, plugin.broker(), 1).await;
    let exit = plugin.shut_down().await;
    if exit != Exit::Clean || !holds_within(GONE, || files(&disk.0).is_empty()).await {
        world.broken(who, format_args!("the plugin {exit}, and these are left: {:?}", files(&disk.0)));
    }
}

/// Launches and calls while the clock is some hours from the right time, and after it.
async fn clock_changes(world: &Arc<World>, who: &str, rng: &mut Rng, mode: Mode, language: Language) {
    world.counts.fault("clock set");
    let host = launching::host(world, mode);
    let hours = if rng.bool() { 3 } else { -3 };
    let Some(plugin) = launching::launch(world, who, &host, language).await else { return };
    let caller = Caller::new(world, plugin.channel(), who);
    let other_time = clock::OtherTime::set(hours);
    if let Err(error) = &other_time {
        world.broken(who, format_args!("the clock: {error}"));
    }
    calls::unary(&caller, 3, 20, 2).await;
    calls::late(&caller, Duration::from_millis(50)).await;
    works(world, who, &host, language).await;
    drop(other_time);
    calls::unary(&caller, 4, 20, 2).await;
    plugin.shut_down().await;
}

/// A host of its own process is killed. Its plugin, the watchdog and their sockets disappear.
async fn host_is_killed(world: &Arc<World>, who: &str, rng: &mut Rng) {
    world.counts.fault("host killed");
    let language = *rng.choice(&[Language::Rust, Language::Go, Language::Python]).expect("three languages");
    let sockets = world.sockets.join("k");
    if let Err(error) = fs::create_dir_all(&sockets) {
        return world.broken(who, format_args!("{}: {error}", sockets.display()));
    }
    let cookie = crate::contract::cookie();
    let host = tokio::process::Command::new(&world.programs.mortal_host)
        .args(world.program(language))
        .env("MORTAL_HOST_COOKIE", format!("{}={}", cookie.key(), cookie.value()))
        .env("PLUGIN_UNIX_SOCKET_DIR", &sockets)
        .env("PLUGIN_AUTO_MTLS", rng.bool().to_string())
        .env("PLUGIN_INHERIT_CONNECTION", rng.bool().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut host = match host {
        Ok(host) => host,
        Err(error) => return world.broken(who, format_args!("the host does not start: {error}")),
    };
    let mut line = String::new();
    if let Some(stdout) = host.stdout.take() {
        let _ = timeout(Duration::from_secs(70), BufReader::new(stdout).read_line(&mut line)).await;
    }
    let pid = line.trim().parse::<u32>();
    sleep(Duration::from_millis(rng.u64(..50))).await;
    let killed = host.kill().await;
    match (pid, killed) {
        (Ok(pid), Ok(())) => group_is_gone(world, who, pid).await,
        (pid, killed) => world.broken(who, format_args!("{language:?}: {pid:?}, {killed:?}: {line}")),
    }
    if !holds_within(GONE, || files(&sockets).is_empty()).await {
        world.broken(who, format_args!("{language:?}: a killed host left {:?}", files(&sockets)));
    }
    let _ = fs::remove_dir(&sockets);
}

/// A fresh plugin answers, and ends.
async fn works(world: &Arc<World>, who: &str, host: &rpcplugin::Host, language: Language) {
    let Some(plugin) = launching::launch(world, who, host, language).await else { return };
    calls::echo(&Caller::new(world, plugin.channel(), who), &mut Rng::with_seed(2)).await;
    let exit = plugin.shut_down().await;
    if exit != Exit::Clean {
        world.broken(who, format_args!("the plugin {exit}"));
    }
}

/// A file system with room for few files, below a directory that is removed after it.
#[derive(Debug)]
pub(crate) struct SmallDisk(PathBuf, #[expect(dead_code, reason = "it is dropped")] Arc<TempDir>);

/// The files that fill a disk, until this value is dropped.
#[derive(Debug)]
struct Filled(Vec<PathBuf>);

impl SmallDisk {
    /// Mounts it at a new directory, which needs root.
    pub(crate) fn mount(base: &Arc<TempDir>) -> io::Result<Self> {
        let directory = &base.path().join("d");
        fs::create_dir(directory)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k,nr_inodes=32", "none"]).arg(directory);
        let output = mount.output()?;
        if output.status.success() {
            return Ok(Self(directory.to_owned(), Arc::clone(base)));
        }
        fs::remove_dir(directory)?;
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    fn fill(&self) -> Filled {
        let paths = (0..64).map(|number| self.0.join(format!("full-{number}")));
        Filled(paths.take_while(|path| fs::write(path, "").is_ok()).collect())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}
