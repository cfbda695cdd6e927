//! What is measured: the figures, with the flags that all hosts share, and what each of their numbers means.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pairs::Contest;

/// How much time is given to a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    pub(super) quick: bool,
}

/// One measurement, taken by each pair in turn.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    /// Its name, for `--figure`.
    pub(super) name: String,
    pub(super) contest: Contest,
    /// The figure as the hosts know it, and its flags.
    pub(super) arguments: Vec<String>,
    pub(super) cores: Cores,
    pub(super) numbers: Vec<Number>,
    /// How long one host takes at most, in seconds.
    pub(super) seconds: f64,
}

/// Where the two processes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cores {
    /// Where the system puts them.
    Any,
    /// Both on the first core: the least that a call costs, and the steadiest.
    One,
    /// The host on the first, the plugin on the second.
    Two,
}

/// One of the numbers of a measurement.
#[derive(Debug, Clone)]
pub(super) struct Number {
    /// What the hosts call it.
    pub(super) key: &'static str,
    pub(super) what: String,
    pub(super) unit: &'static str,
    pub(super) better: Better,
    /// What the ratio to the other pair shall be at most, or at least.
    pub(super) target: Option<f64>,
    /// Whether the README shows it.
    pub(super) headline: bool,
}

/// Which numbers are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Better {
    Lower,
    Higher,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Plain,
    AutoMtls,
    AutoMtlsMux,
}

/// All figures. What is short and matters comes first.
pub(super) fn figures(effort: Effort) -> Vec<Figure> {
    let mut figures = Vec::new();
    launches(&mut figures, effort);
    calls(&mut figures, effort);
    streams(&mut figures, effort);
    brokered(&mut figures, effort);
    output(&mut figures, effort);
    crowds(&mut figures, effort);
    idle(&mut figures, effort);
    beside_tonic(&mut figures, effort);
    figures
}

fn launches(figures: &mut Vec<Figure>, effort: Effort) {
    let rounds = effort.pick(25, 7);
    for (security, target) in
        [(Security::Plain, Some(0.40)), (Security::AutoMtls, Some(0.15)), (Security::AutoMtlsMux, None)]
    {
        let mut launch = lower("launch_ms", format!("launch to verified ready, {security}"), "ms");
        launch.target = target;
        launch.headline = target.is_some();
        figures.push(
            Figure::new(format!("launch/{security}"), "launch", security)
                .flag("--rounds", rounds)
                .number(launch)
                .number(lower("stop_ms", format!("stop, {security}"), "ms"))
                .number(lower("cpu_ms", format!("CPU of both sides for launch and stop, {security}"), "ms")),
        );
    }
}

fn calls(figures: &mut Vec<Figure>, effort: Effort) {
    let seconds = effort.pick(2.0, 0.5);
    let unary = |name: &str, security, payload: u32, in_flight: u32| {
        Figure::new(format!("calls/{name}/{security}"), "unary", security)
            .flag("--payload", payload)
            .flag("--in-flight", in_flight)
            .lasting(seconds)
    };
    figures.push(
        unary("64 B/one core", Security::Plain, 64, 1)
            .on(Cores::One)
            .number(lower("p50_us", "64-byte call, p50, both on one core", "µs").at(0.45).shown())
            .number(lower("p99_us", "64-byte call, p99, both on one core", "µs"))
            .number(lower("cpu_us_per_call", "64-byte call, CPU of both sides, both on one core", "µs")),
    );
    figures.push(
        unary("64 B/one core", Security::AutoMtls, 64, 1)
            .on(Cores::One)
            .number(lower("p50_us", "64-byte call, p50, both on one core, AutoMTLS", "µs"))
            .number(lower(
                "cpu_us_per_call",
                "64-byte call, CPU of both sides, both on one core, AutoMTLS",
                "µs",
            )),
    );
    figures.push(
        unary("64 B/a core each", Security::Plain, 64, 1)
            .on(Cores::Two)
            .number(lower("p50_us", "64-byte call, p50, a core each", "µs").at(0.45)),
    );
    let cpu = "64-byte call, CPU of both sides, cores as they come";
    figures.push(
        unary("64 B/any core", Security::Plain, 64, 1)
            .number(lower("p50_us", "64-byte call, p50, cores as they come", "µs"))
            .number(lower("cpu_us_per_call", cpu, "µs").at(0.30).shown()),
    );
    figures.push(
        unary("4 KiB/one core", Security::Plain, 4096, 1)
            .on(Cores::One)
            .number(lower("p50_us", "4 KiB call, p50, both on one core", "µs"))
            .number(lower("cpu_us_per_call", "4 KiB call, CPU of both sides", "µs")),
    );
    for payload in [64, 4096] {
        let size = if payload == 64 { "64 B" } else { "4 KiB" };
        for in_flight in [8, 64, 256, 1024] {
            let what = format!("{size}, {in_flight} in flight");
            let counted = payload == 64 && in_flight == 64;
            let mut rate = higher("calls_per_s", format!("{what}, calls"), "/s");
            let mut cpu = lower("cpu_us_per_call", format!("{what}, CPU of both sides a call"), "µs");
            if counted {
                rate = rate.at(2.2).shown();
                cpu = cpu.at(0.35).shown();
            }
            let name = format!("{size}/{in_flight} in flight");
            figures.push(unary(&name, Security::Plain, payload, in_flight).number(rate).number(cpu));
        }
    }
    figures.push(
        unary("64 B/64 in flight", Security::AutoMtls, 64, 64)
            .number(higher("calls_per_s", "64 B, 64 in flight, calls, AutoMTLS", "/s").at(2.2))
            .number(lower("cpu_us_per_call", "64 B, 64 in flight, CPU of both sides a call, AutoMTLS", "µs")),
    );
}

fn streams(figures: &mut Vec<Figure>, effort: Effort) {
    for (security, kib, target) in [
        (Security::Plain, 64, Some(7.0)),
        (Security::Plain, 1024, Some(4.0)),
        (Security::AutoMtls, 64, None),
        (Security::AutoMtls, 1024, Some(3.0)),
    ] {
        let size = if kib == 64 { "64 KiB" } else { "1 MiB" };
        for (direction, from) in [("down", "from"), ("up", "to")] {
            let mut rate =
                higher("mb_per_s", format!("stream {from} the plugin, {size} messages, {security}"), "MB/s");
            rate.target = target;
            rate.headline = target.is_some() && direction == "down";
            let cpu = format!("CPU of both sides a KiB, {direction}, {size} messages, {security}");
            figures.push(
                Figure::new(format!("stream/{direction}/{size}/{security}"), direction, security)
                    .flag("--payload", kib << 10)
                    .lasting(effort.pick(2.0, 0.5))
                    .number(rate)
                    .number(lower("cpu_ns_per_kib", cpu, "ns")),
            );
        }
    }
}

fn brokered(figures: &mut Vec<Figure>, effort: Effort) {
    for (security, target) in
        [(Security::Plain, Some(0.50)), (Security::AutoMtls, Some(0.20)), (Security::AutoMtlsMux, None)]
    {
        let mut plugin = lower(
            "plugin_dials_us",
            format!("brokered connection to first answer, plugin dials, {security}"),
            "µs",
        );
        plugin.target = target;
        plugin.headline = target.is_some();
        let mut host = lower(
            "host_dials_us",
            format!("brokered connection to first answer, host dials, {security}"),
            "µs",
        );
        host.target = target;
        figures.push(
            Figure::new(format!("broker/{security}"), "broker", security)
                .flag("--rounds", effort.pick(51, 15))
                .number(plugin)
                .number(host),
        );
    }
}

fn output(figures: &mut Vec<Figure>, effort: Effort) {
    figures.push(
        Figure::new("output/stdio".to_owned(), "stdio", Security::Plain)
            .flag("--payload", 256 << 10)
            .flag("--rounds", effort.pick(200, 40))
            .number(higher("mb_per_s", "what the plugin prints, as the host receives it", "MB/s"))
            .number(lower("cpu_ns_per_kib", "CPU of both sides a KiB printed", "ns")),
    );
    figures.push(
        Figure::new("output/logs".to_owned(), "logs", Security::Plain)
            .flag("--rounds", effort.pick(200, 40))
            .number(higher("records_per_s", "log records from the plugin's stderr to the host's code", "/s"))
            .number(lower("cpu_us_per_record", "CPU of both sides a log record", "µs")),
    );
}

fn crowds(figures: &mut Vec<Figure>, effort: Effort) {
    let crowd = |plugins: u32, security| {
        Figure::new(format!("crowd/{plugins}/{security}"), "crowd", security).flag("--plugins", plugins)
    };
    let ready = |plugins: u32, security| {
        lower("ready_ms", format!("{plugins} plugins, 8 at a time, all ready, {security}"), "ms")
    };
    let memory = |plugins: u32, security| {
        lower("host_rss_kib_per_plugin", format!("host memory per plugin, of {plugins}, {security}"), "KiB")
    };
    figures.push(crowd(50, Security::Plain).number(ready(50, Security::Plain)));
    figures.push(
        crowd(50, Security::AutoMtls)
            .number(ready(50, Security::AutoMtls).at(0.35).shown())
            .number(memory(50, Security::AutoMtls).at(0.60).shown())
            .number(lower("host_threads_per_plugin", "host threads per plugin, of 50, AutoMTLS", ""))
            .number(lower(
                "host_tasks_per_plugin",
                "host tasks or goroutines per plugin, of 50, AutoMTLS",
                "",
            ))
            .number(lower(
                "plugin_pss_kib",
                "memory of each plugin, its share of what is shared, of 50",
                "KiB",
            ))
            .number(lower("stop_ms", "50 plugins stopped at once, AutoMTLS", "ms")),
    );
    figures.push(
        crowd(200, Security::AutoMtls)
            .number(ready(200, Security::AutoMtls))
            .number(memory(200, Security::AutoMtls))
            .number(lower("host_peak_kib", "peak memory of a host with 200 plugins, AutoMTLS", "KiB")),
    );
    let growth: &[u32] = if effort.quick { &[1, 10] } else { &[1, 10, 100, 400] };
    for &plugins in growth {
        let what = format!("time per plugin, {plugins} of them, AutoMTLS");
        let mut growing = crowd(plugins, Security::AutoMtls).number(lower("ready_ms_per_plugin", what, "ms"));
        growing.name = format!("growth/{plugins}");
        figures.push(growing);
    }
}

fn idle(figures: &mut Vec<Figure>, effort: Effort) {
    figures.push(
        Figure::new("idle".to_owned(), "idle", Security::AutoMtls)
            .lasting(effort.pick(30.0, 2.0))
            .number(lower("plugin_rss_kib", "idle plugin, memory (RSS)", "KiB").at(0.40).shown())
            .number(lower("plugin_pss_kib", "idle plugin, memory (PSS)", "KiB"))
            .number(
                lower("plugin_anonymous_kib", "idle plugin, memory of its own (no file behind it)", "KiB")
                    .shown(),
            )
            .number(lower("plugin_threads", "idle plugin, threads", ""))
            .number(lower("plugin_cpu_us_per_s", "idle plugin, CPU a second", "µs"))
            .number(lower("plugin_wakeups_per_s", "idle plugin, wake-ups a second", ""))
            .number(lower("host_rss_kib", "host with one plugin, memory (RSS)", "KiB"))
            .number(lower("host_cpu_us_per_s", "host with one idle plugin, CPU a second", "µs")),
    );
}

/// What this library costs beyond tonic: a plugin and a host with the same three calls on both.
fn beside_tonic(figures: &mut Vec<Figure>, effort: Effort) {
    let seconds = effort.pick(2.0, 1.0);
    let beside = |name: &str, figure: &str, payload: u32, cores| {
        Figure::new(format!("tonic/{name}"), figure, Security::Plain)
            .flag("--payload", payload)
            .lasting(seconds)
            .on(cores)
            .between(Contest::Tonic)
    };
    figures.push(
        beside("calls/1", "unary", 64, Cores::One)
            .number(lower("p50_us", "beside tonic alone: 64-byte call, p50, one core", "µs").at(1.05).shown())
            .number(lower("cpu_us_per_call", "beside tonic alone: 64-byte call, CPU", "µs").at(1.03).shown()),
    );
    figures.push(
        beside("calls/64", "unary", 64, Cores::One)
            .flag("--in-flight", 64)
            .number(lower("cpu_us_per_call", "beside tonic alone: 64 in flight, CPU a call", "µs").at(1.03)),
    );
    for (direction, kib) in [("down", 64), ("up", 64), ("down", 1024), ("up", 1024)] {
        let what = format!("beside tonic alone: stream {direction}, {kib} KiB messages");
        figures.push(
            beside(&format!("{direction}/{kib} KiB"), direction, kib << 10, Cores::Two)
                .number(higher("mb_per_s", what, "MB/s").at(0.97)),
        );
    }
}

impl Effort {
    fn pick<T>(self, whole: T, quick: T) -> T {
        if self.quick { quick } else { whole }
    }
}

impl Figure {
    fn new(name: String, figure: &str, security: Security) -> Self {
        let flags: &[&str] = match security {
            Security::Plain => &[],
            Security::AutoMtls => &["--auto-mtls"],
            Security::AutoMtlsMux => &["--auto-mtls", "--mux"],
        };
        let arguments = [figure].iter().chain(flags).map(|word| (*word).to_owned()).collect();
        Self {
            name,
            contest: Contest::Peers,
            arguments,
            cores: Cores::Any,
            numbers: Vec::new(),
            seconds: 0.0,
        }
    }

    fn flag(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.arguments.extend([name.to_owned(), value.to_string()]);
        self
    }

    fn lasting(mut self, seconds: f64) -> Self {
        self.seconds = seconds;
        self.flag("--seconds", seconds)
    }

    fn on(mut self, cores: Cores) -> Self {
        self.cores = cores;
        self
    }

    fn between(mut self, contest: Contest) -> Self {
        self.contest = contest;
        self
    }

    fn number(mut self, number: Number) -> Self {
        self.numbers.push(number);
        self
    }

    /// The value of a flag.
    pub(super) fn value(&self, flag: &str) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == flag)?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    /// How often each pair takes its turn.
    pub(super) fn rounds(&self, effort: Effort) -> usize {
        match self.contest {
            // Three per cent have to be told apart.
            Contest::Tonic => effort.pick(11, 5),
            Contest::Peers if self.seconds > 10.0 => 3,
            Contest::Peers => effort.pick(7, 3),
        }
    }
}

impl Number {
    fn at(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    fn shown(mut self) -> Self {
        self.headline = true;
        self
    }
}

fn lower(key: &'static str, what: impl Into<String>, unit: &'static str) -> Number {
    Number { key, what: what.into(), unit, better: Better::Lower, target: None, headline: false }
}

fn higher(key: &'static str, what: impl Into<String>, unit: &'static str) -> Number {
    Number { better: Better::Higher, ..lower(key, what, unit) }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::AutoMtls => "AutoMTLS",
            Self::AutoMtlsMux => "AutoMTLS and multiplexed",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_of_figures_and_numbers_are_unique() {
        let figures = figures(Effort { quick: false });
        let names: BTreeSet<_> = figures.iter().map(|figure| &figure.name).collect();
        assert_eq!(names.len(), figures.len());
        let numbers: Vec<_> =
            figures.iter().flat_map(|figure| &figure.numbers).map(|number| &number.what).collect();
        let mut seen = BTreeSet::new();
        let twice: Vec<_> = numbers.iter().filter(|what| !seen.insert(*what)).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}
