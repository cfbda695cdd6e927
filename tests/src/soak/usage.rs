//! What the host and the plugins use, and whether that stays the same.

use std::{fs, sync::atomic::Ordering::Relaxed, time::Duration};

use serde::Serialize;
use tokio::{runtime::Handle, time::sleep};

use crate::{
    os::usage::{memory_of, threads_of},
    soak::{
        launching::files,
        plan::Language,
        world::{GONE, World},
    },
    support::{process::children, wait::holds_within},
};

/// What one process uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Use {
    pub(crate) rss_kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
}

/// What the host uses and has made so far, at one moment.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) host: Use,
    pub(crate) tasks: u64,
    /// Files in the directory of sockets.
    pub(crate) files: u64,
    pub(crate) children: u64,
    pub(crate) calls: u64,
    pub(crate) brokered: u64,
    pub(crate) launches: u64,
    pub(crate) restarts: u64,
    /// The plugins that live for the whole run.
    pub(crate) residents: Vec<(String, Use)>,
}

/// A value over the run, and its bound.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Flatness {
    pub(crate) what: String,
    /// The first and the last value after the warm-up.
    pub(crate) first: f64,
    pub(crate) last: f64,
    /// By how much the line through all values rises, from the first to the last.
    pub(crate) growth: f64,
    pub(crate) bound: f64,
}

impl Use {
    pub(crate) fn of(pid: u32) -> Self {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |all| all.count() as u64);
        Self { rss_kib: memory_of(pid).rss, descriptors, threads: threads_of(pid) }
    }
}

impl Sample {
    pub(crate) fn take(world: &World, seconds: f64, residents: &[(Language, u32)]) -> Self {
        let counts = &world.counts;
        Self {
            seconds,
            host: Use::of(std::process::id()),
            tasks: Handle::current().metrics().num_alive_tasks() as u64,
            files: files(&world.sockets).len() as u64,
            children: children().len() as u64,
            calls: counts.calls.load(Relaxed),
            brokered: counts.brokered.load(Relaxed),
            launches: counts.launches.load(Relaxed),
            restarts: counts.restarts.load(Relaxed),
            residents: residents
                .iter()
                .map(|(language, pid)| (format!("{language:?}"), Use::of(*pid)))
                .collect(),
        }
    }

    /// The values that must not grow at all, from one rest to another.
    fn counted(&self) -> [(&'static str, u64); 5] {
        [
            ("descriptors", self.host.descriptors),
            ("threads", self.host.threads),
            ("tasks", self.tasks),
            ("files", self.files),
            ("children", self.children),
        ]
    }

    fn exceeds(&self, other: &Self) -> bool {
        self.counted().iter().zip(other.counted()).any(|((_, one), (_, other))| *one > other)
    }
}

/// Waits until nothing is left of the plugins that have ended, and takes a sample. `before` is an earlier rest. `stay` brokered
/// services, each with a socket, are known to stay.
pub(crate) async fn rest(
    world: &World,
    begun: std::time::Instant,
    residents: &[(Language, u32)],
    before: Option<&Sample>,
    stay: u64,
) -> Sample {
    let take = || {
        let mut sample = Sample::take(world, begun.elapsed().as_secs_f64(), residents);
        sample.files = sample.files.saturating_sub(stay);
        for (_, used) in sample.residents.iter_mut().filter(|(name, _)| name == "Rust") {
            used.descriptors = used.descriptors.saturating_sub(stay);
        }
        sample
    };
    let deadline = std::time::Instant::now() + GONE;
    // The thread pool of the runtime drops what is idle within half a second.
    sleep(Duration::from_secs(1)).await;
    let mut sample = take();
    while before.is_some_and(|before| sample.exceeds(before)) && std::time::Instant::now() < deadline {
        sleep(Duration::from_millis(100)).await;
        sample = take();
    }
    if let Some(before) = before.filter(|before| sample.exceeds(before)) {
        let (now, then) = (sample.counted(), before.counted());
        world.broken("rest", format_args!("the host has more than at an earlier rest: {now:?}, {then:?}"));
    }
    sample
}

/// Waits until the host has no file, and no more child processes and tasks than before the first launch.
pub(crate) async fn end(world: &World, begun: std::time::Instant, before: &Sample) {
    let take = || Sample::take(world, begun.elapsed().as_secs_f64(), &[]);
    let is_over =
        |now: &Sample| now.files == 0 && now.children <= before.children && now.tasks <= before.tasks;
    let mut last = take();
    let over = holds_within(GONE, || {
        last = take();
        is_over(&last)
    });
    if !over.await {
        let files = files(&world.sockets);
        world.broken("end", format_args!("something is left: {last:?}, {files:?}"));
    }
}

/// Compares the memory of each process at the rests after the warm-up, and the descriptors and threads of the plugins.
pub(crate) fn flatness(rests: &[Sample]) -> Vec<Flatness> {
    let end = rests.last().map_or(0.0, |last| last.seconds);
    let warm: Vec<&Sample> =
        rests.iter().filter(|rest| rest.seconds >= (WARM_UP * end).max(LEAST_WARM_UP)).collect();
    let times: Vec<f64> = warm.iter().map(|rest| rest.seconds).collect();
    if times.len() < FEWEST {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut judge = |what: String, values: Vec<f64>, bound: f64| {
        let (first, last) = (values[0], values[values.len() - 1]);
        let growth = slope(&times, &values) * (times[times.len() - 1] - times[0]);
        found.push(Flatness { what, first, last, growth, bound });
    };
    let memory =
        |values: &[f64], part: f64, kib: f64| part * values.iter().sum::<f64>() / values.len() as f64 + kib;
    let host: Vec<f64> = warm.iter().map(|rest| rest.host.rss_kib as f64).collect();
    let bound = memory(&host, 0.05, 2048.0);
    judge("memory of the host, KiB".to_owned(), host, bound);
    let names = warm[0].residents.iter().map(|(name, _)| name.clone());
    for (index, name) in names.enumerate() {
        let of = |value: fn(&Use) -> u64| -> Vec<f64> {
            warm.iter().map(|rest| value(&rest.residents[index].1) as f64).collect()
        };
        let collects = name != "Rust";
        let rss = of(|used| used.rss_kib);
        let bound = if collects { memory(&rss, 0.2, 8192.0) } else { memory(&rss, 0.05, 2048.0) };
        judge(format!("memory of the plugin in {name}, KiB"), rss, bound);
        judge(format!("descriptors of the plugin in {name}"), of(|used| used.descriptors), 1.0);
        // Go keeps each thread that it has started.
        judge(
            format!("threads of the plugin in {name}"),
            of(|used| used.threads),
            if collects { 5.0 } else { 1.0 },
        );
    }
    found
}

/// The first part of the run, in which caches and free lists are filled.
const WARM_UP: f64 = 0.2;

/// The seconds that it takes at least.
const LEAST_WARM_UP: f64 = 120.0;

/// The rests without which no line is drawn.
const FEWEST: usize = 4;

/// The slope of the line with the least squares through these points.
fn slope(times: &[f64], values: &[f64]) -> f64 {
    let n = times.len() as f64;
    let (mean_time, mean) = (times.iter().sum::<f64>() / n, values.iter().sum::<f64>() / n);
    let covariance: f64 =
        times.iter().zip(values).map(|(time, value)| (time - mean_time) * (value - mean)).sum();
    let variance: f64 = times.iter().map(|time| (time - mean_time).powi(2)).sum();
    if variance == 0.0 { 0.0 } else { covariance / variance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        assert!((slope(&[0.0, 1.0, 2.0, 3.0], &[5.0, 7.0, 9.0, 11.0]) - 2.0).abs() < 1e-9);
        assert_eq!(slope(&[1.0], &[5.0]), 0.0);
    }

    #[test]
    fn a_process_that_grows_is_found() {
        let rests: Vec<Sample> = (0..10_u32)
            .map(|number| {
                let rss_kib = 50_000 + u64::from(number) * 1000;
                let host = Use { rss_kib, ..Use::default() };
                Sample { seconds: f64::from(number) * 60.0, host, ..Sample::default() }
            })
            .collect();
        let host = &flatness(&rests)[0];
        assert!(host.growth > host.bound, "{host:?}");
        assert_eq!(flatness(&rests[..3]).len(), 0, "too few");
    }
}
