//! `kit-soak`: a host that drives plugins in three languages for minutes or hours, with faults, and checks what must hold.
//!
//! The run has rounds. In a round each slot launches one plugin after the other, and each plugin lives as its
//! `plan` has it. Between rounds the host rests: nothing may be left of the plugins that have ended. One plugin
//! in each language lives for the whole run. `cargo xtask soak` starts this program and draws the curves.

mod brokered;
mod caller;
mod calls;
mod clock;
mod launching;
mod life;
mod limits;
mod plan;
mod residents;
mod supervised;
mod usage;
mod whole_host;
mod world;

use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use clap::Parser;
use serde_json::json;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

use self::{
    plan::{Language, LifeId},
    residents::Resident,
    usage::{Flatness, Sample},
    whole_host::{SmallDisk, WholeHost},
    world::{Programs, World},
};
use crate::{
    os::{Termination, usage::allow_many_files},
    support::signals,
};

/// Drives plugins with faults, and checks what must hold.
#[derive(Debug, Parser)]
#[command(name = "kit-soak")]
struct Args {
    /// How long to run, in seconds.
    #[arg(long)]
    seconds: u64,
    /// The seed of all plans.
    #[arg(long)]
    seed: u64,
    /// Live this life alone, once.
    #[arg(long, value_name = "SLOT/NUMBER")]
    life: Option<LifeId>,
    /// Launch no plugins but those that live for the whole run.
    #[arg(long)]
    residents: bool,
    /// Set the clock of the machine from time to time, by three hours and for a moment. All programs see that.
    #[arg(long)]
    change_clock: bool,
    /// The conformance plugin in Rust.
    #[arg(long)]
    rust: PathBuf,
    /// The conformance plugin in Go.
    #[arg(long)]
    go: PathBuf,
    /// The Python of the peers, and the conformance plugin.
    #[arg(long, num_args = 2)]
    python: Vec<PathBuf>,
    /// The host that is killed.
    #[arg(long)]
    mortal_host: PathBuf,
    /// The directory of the results.
    #[arg(long)]
    out: PathBuf,
}

/// What a slot does, again and again.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Lives(Language),
    Supervised(Language),
    WholeHost,
}

const SLOTS: [Slot; 8] = [
    Slot::Lives(Language::Rust),
    Slot::Lives(Language::Rust),
    Slot::Lives(Language::Go),
    Slot::Lives(Language::Go),
    Slot::Lives(Language::Python),
    Slot::Supervised(Language::Rust),
    Slot::Supervised(Language::Go),
    Slot::WholeHost,
];

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Runs the host. The exit status is 0 if everything held.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    allow_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Idle threads must not count as leaked.
        .thread_keep_alive(Duration::from_millis(500))
        .enable_all()
        .build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run_or_stop(args))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "kit-soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Dropping the run kills its plugins, and removes its files and its small disk.
async fn run_or_stop(args: Args) -> Outcome<bool> {
    signals::reset_ignored();
    let mut termination = Termination::new()?;
    tokio::select! {
        done = run(args) => done,
        () = termination.requested() => Err("stopped by a signal".into()),
    }
}

async fn run(args: Args) -> Outcome<bool> {
    fs::create_dir_all(&args.out)?;
    // The path of a socket must be short.
    let base = Arc::new(tempfile::Builder::new().prefix("soak").tempdir_in("/tmp")?);
    let sockets = base.path().join("s");
    fs::create_dir(&sockets)?;
    let disk = SmallDisk::mount(&base);
    let mut notes = Vec::new();
    if let Err(error) = &disk {
        notes.push(format!("no disk was filled: {error}"));
    }
    if !args.change_clock {
        notes.push("the clock was not set: that needs --change-clock".to_owned());
    }
    let programs = Programs {
        rust: vec![args.rust],
        go: vec![args.go],
        python: args.python,
        mortal_host: args.mortal_host,
    };
    let world = Arc::new(World::new(args.seed, programs, sockets));
    let whole = Arc::new(WholeHost { disk: disk.ok(), changes_clock: args.change_clock });
    if let Some(id) = args.life {
        let slot = SLOTS.get(id.slot).ok_or("there is no such slot")?;
        slot.live(&world, &whole, &id).await;
        return Ok(world.all_broken().is_empty());
    }
    let before = Sample::take(&world, 0.0, &[]);
    let residents = launch_residents(&world).await?;
    // The launches do not count: at least one round runs.
    let begun = Instant::now();
    let slots = if args.residents { &[][..] } else { &SLOTS };
    let rests =
        rounds(&world, &whole, slots, residents, Duration::from_secs(args.seconds), begun, &args.out).await?;
    usage::end(&world, begun, &before).await;
    let flat = usage::flatness(&rests);
    for one in flat.iter().filter(|one| one.growth > one.bound) {
        world.broken("flatness", format_args!("{one:?}"));
    }
    let broken = world.all_broken();
    report(&world, begun, &rests, &flat, &notes, &args.out)?;
    Ok(broken.is_empty())
}

/// Launches a plugin in each language, to live for the whole run.
async fn launch_residents(world: &Arc<World>) -> Outcome<Vec<Resident>> {
    let mut residents = Vec::new();
    for (index, language) in [Language::Rust, Language::Go, Language::Python].into_iter().enumerate() {
        let id = LifeId { slot: SLOTS.len() + index, number: 0 };
        residents.push(Resident::launch(world, &id, language).await.ok_or("a plugin does not start")?);
    }
    Ok(residents)
}

/// Runs rounds until this much time has passed, and at least one. Returns what the host used at the rests.
async fn rounds(
    world: &Arc<World>,
    whole: &Arc<WholeHost>,
    of_lives: &[Slot],
    mut residents: Vec<Resident>,
    length: Duration,
    begun: Instant,
    out: &Path,
) -> Outcome<Vec<Sample>> {
    let pids: Vec<_> = residents.iter().map(|resident| (resident.language, resident.pid)).collect();
    let samples = sample_each_second(world, begun, &pids, out)?;
    let round = (length / 30).clamp(Duration::from_secs(5), Duration::from_secs(60));
    let mut numbers = [0; SLOTS.len()];
    let mut rests: Vec<Sample> = Vec::new();
    loop {
        let until = Instant::now() + round;
        let mut slots = JoinSet::new();
        for (index, slot) in of_lives.iter().copied().enumerate() {
            let (world, whole, number) = (Arc::clone(world), Arc::clone(whole), numbers[index]);
            slots.spawn(async move { (index, slot.work(&world, &whole, index, number, until).await) });
        }
        let mut working = JoinSet::new();
        for resident in residents.drain(..) {
            working.spawn(resident.work(until));
        }
        while let Some(done) = slots.join_next().await {
            let (index, number) = done?;
            numbers[index] = number;
        }
        while let Some(resident) = working.join_next().await {
            residents.push(resident?);
        }
        let mut stay = 0;
        for resident in &residents {
            stay += resident.tidy_up().await;
        }
        // The first rests are those of caches that fill.
        let sample = usage::rest(world, begun, &pids, rests.get(2), stay).await;
        progress(world, &sample);
        rests.push(sample);
        if begun.elapsed() >= length {
            break;
        }
    }
    samples.abort();
    let _ = samples.await;
    for resident in residents {
        resident.end().await;
    }
    Ok(rests)
}

impl Slot {
    /// Lives one life after the other until then. Returns the number of the next one.
    async fn work(
        self,
        world: &Arc<World>,
        whole: &Arc<WholeHost>,
        slot: usize,
        mut number: u64,
        until: Instant,
    ) -> u64 {
        while Instant::now() < until {
            self.live(world, whole, &LifeId { slot, number }).await;
            number += 1;
        }
        number
    }

    async fn live(self, world: &Arc<World>, whole: &Arc<WholeHost>, id: &LifeId) {
        match self {
            Self::Lives(language) => Box::pin(life::live(world, id, language)).await,
            Self::Supervised(language) => Box::pin(supervised::live(world, id, language)).await,
            Self::WholeHost => Box::pin(whole_host::fault(world, id, whole)).await,
        }
    }
}

/// Writes a sample each second, one line of JSON for each.
fn sample_each_second(
    world: &Arc<World>,
    begun: Instant,
    residents: &[(Language, u32)],
    out: &Path,
) -> Outcome<JoinHandle<()>> {
    let mut file = BufWriter::new(File::create(out.join("samples.jsonl"))?);
    let (world, residents) = (Arc::clone(world), residents.to_vec());
    Ok(tokio::spawn(async move {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // Without descriptors nothing can be read.
            if !world.is_storm() {
                let sample = json!(Sample::take(&world, begun.elapsed().as_secs_f64(), &residents));
                let _ = writeln!(file, "{sample}").and_then(|()| file.flush());
            }
        }
    }))
}

fn progress(world: &World, sample: &Sample) {
    let Sample { seconds, host, tasks, calls, brokered, launches, restarts, .. } = sample;
    let broken = world.all_broken().len();
    let _ = writeln!(
        io::stdout(),
        "{seconds:.0} s: {calls} calls, {brokered} brokered, {launches} launches, {restarts} restarts; at rest {} KiB, {} descriptors, {} threads, {tasks} tasks; {broken} broken",
        host.rss_kib,
        host.descriptors,
        host.threads,
    );
}

/// Writes what the run counted.
fn report(
    world: &World,
    begun: Instant,
    rests: &[Sample],
    flat: &[Flatness],
    notes: &[String],
    out: &Path,
) -> Outcome {
    let counts = &world.counts;
    let summary = json!({
        "seed": world.seed,
        "seconds": begun.elapsed().as_secs(),
        "calls": counts.calls.load(Relaxed),
        "answered": counts.answered.load(Relaxed),
        "brokered": counts.brokered.load(Relaxed),
        "launches": counts.launches.load(Relaxed),
        "restarts": counts.restarts.load(Relaxed),
        "output_bytes": counts.output.load(Relaxed),
        "latest_ms": counts.latest_ms.load(Relaxed),
        "refused_ms": counts.refused_ms.load(Relaxed),
        "faults": counts.faults(),
        "codes": counts.codes(),
        "rests": rests,
        "flat": flat,
        "notes": notes,
        "broken": world.all_broken(),
    });
    fs::write(out.join("summary.json"), serde_json::to_vec_pretty(&summary)?)?;
    Ok(())
}

impl FromStr for LifeId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(slot, number)| Some((slot.parse().ok()?, number.parse().ok()?)));
        parts.map(|(slot, number)| Self { slot, number }).ok_or_else(|| "as SLOT/NUMBER".to_owned())
    }
}
