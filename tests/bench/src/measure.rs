//! What a server process costs, read from `/proc`; and the report that says so.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Kernel clock ticks a second in `/proc/PID/stat`; 100 on every Linux that this runs on (`getconf CLK_TCK`).
const TICKS_PER_SECOND: u64 = 100;

/// A server process and all its descendants.
pub(crate) struct Server {
    root: u32,
}

/// CPU time and wall-clock at one moment.
pub(crate) struct Mark {
    cpu: Duration,
    at: Instant,
}

impl Server {
    pub(crate) fn new(root: u32) -> Server {
        Server { root }
    }

    pub(crate) fn mark(&self) -> Mark {
        let ticks: u64 = self.processes().iter().map(|pid| cpu_ticks(*pid)).sum();
        Mark {
            cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
            at: Instant::now(),
        }
    }

    /// CPU and wall-clock spent since the mark.
    pub(crate) fn since(&self, mark: &Mark) -> (Duration, Duration) {
        let now = self.mark();
        (now.cpu.saturating_sub(mark.cpu), now.at - mark.at)
    }

    /// Resident memory in KiB. Proportional shares where the kernel tells them, so that forks do not count twice.
    pub(crate) fn memory_kib(&self) -> u64 {
        self.processes().iter().map(|pid| memory_kib(*pid)).sum()
    }

    /// What it has had written to the disk, in bytes (`write_bytes` of proc(5)).
    pub(crate) fn written_bytes(&self) -> u64 {
        self.processes()
            .iter()
            .filter_map(|pid| {
                let text = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
                let line = text.lines().find(|line| line.starts_with("write_bytes:"))?;
                line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
            })
            .sum()
    }

    fn processes(&self) -> Vec<u32> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            if let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok())
                && let Some(parent) = stat_fields(pid)
                    .and_then(|fields| fields.get(1).and_then(|field| field.parse::<u32>().ok()))
            {
                parents.push((pid, parent));
            }
        }
        let mut found = vec![self.root];
        let mut next = 0;
        while next < found.len() {
            let parent_of_next = found[next];
            found.extend(
                parents
                    .iter()
                    .filter(|(_, parent)| *parent == parent_of_next)
                    .map(|(pid, _)| *pid),
            );
            next += 1;
        }
        found
    }
}

/// Fields of `/proc/PID/stat` after the command name, which may itself hold spaces: the first is the state.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

fn cpu_ticks(pid: u32) -> u64 {
    // utime and stime are fields 14 and 15 of proc(5), counted from 1; ours begin at field 3.
    let fields = stat_fields(pid).unwrap_or_default();
    [11, 12]
        .iter()
        .filter_map(|index| fields.get(*index)?.parse::<u64>().ok())
        .sum()
}

fn memory_kib(pid: u32) -> u64 {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    };
    field("smaps_rollup", "Pss:")
        .or_else(|| field("status", "VmRSS:"))
        .unwrap_or(0)
}

/// Named figures, in the order in which they were found.
pub(crate) struct Report {
    scenario: &'static str,
    figures: Vec<(&'static str, f64)>,
}

impl Report {
    pub(crate) fn new(scenario: &'static str) -> Report {
        Report {
            scenario,
            figures: Vec::new(),
        }
    }

    pub(crate) fn add(mut self, name: &'static str, value: f64) -> Report {
        self.figures.push((name, value));
        self
    }

    /// CPU and time of `count` operations, and the CPU of one in microseconds.
    pub(crate) fn add_cost(self, count: u64, cpu: Duration, wall: Duration) -> Report {
        let each = cpu.as_secs_f64() * 1e6 / count.max(1) as f64;
        self.add("count", count as f64)
            .add("cpu_ms", cpu.as_secs_f64() * 1e3)
            .add("wall_ms", wall.as_secs_f64() * 1e3)
            .add("cpu_us_each", each)
            .add("per_second", count as f64 / wall.as_secs_f64().max(1e-9))
    }

    pub(crate) fn json(&self) -> Value {
        let mut figures = Map::new();
        for (name, value) in &self.figures {
            figures.insert((*name).to_owned(), json!((value * 1000.0).round() / 1000.0));
        }
        json!({ "scenario": self.scenario, "figures": figures })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.scenario);
        for (name, value) in &self.figures {
            let _ = writeln!(text, "  {name:<24} {value:>14.2}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_cpu_and_memory_are_seen() {
        let me = Server::new(std::process::id());
        let mark = me.mark();
        let began = Instant::now();
        let mut sum = 0u64;
        while began.elapsed() < Duration::from_millis(120) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let (cpu, wall) = me.since(&mark);
        assert!(cpu >= Duration::from_millis(20), "{cpu:?}");
        assert!(wall >= Duration::from_millis(120));
        assert!(me.memory_kib() > 500);
    }

    #[test]
    fn a_cost_is_divided_by_its_count() {
        let report =
            Report::new("x").add_cost(1000, Duration::from_millis(5), Duration::from_secs(1));
        assert_eq!(report.json()["figures"]["cpu_us_each"], 5.0);
        assert_eq!(report.json()["figures"]["per_second"], 1000.0);
    }
}
