//! What a process or a thread takes of the machine, as the kernel counts it.

use std::sync::OnceLock;

use crate::support::fixture::sh;

/// The processor time that a process has taken so far, in seconds; that of programs which it started is not in it.
pub(crate) fn processor(pid: u32) -> f64 {
    counted(&format!("/proc/{pid}/stat"))
}

/// The processor time that the calling thread has taken so far, in seconds.
pub(crate) fn processor_of_this_thread() -> f64 {
    counted("/proc/thread-self/stat")
}

fn counted(path: &str) -> f64 {
    static TICKS: OnceLock<f64> = OnceLock::new();
    let ticks_a_second = TICKS.get_or_init(|| sh("getconf", &["CLK_TCK"]).trim().parse().unwrap());
    let text = std::fs::read_to_string(path).unwrap();
    // The name stands in parentheses and may hold anything. After it, the 12th field is user time and the next the kernel's.
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / ticks_a_second
}

/// The memory of a process that is resident now, in MB.
pub(crate) fn resident(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1_024.0 / 1e6
}

/// How many descriptors a process has open now.
pub(crate) fn descriptors(pid: u32) -> u32 {
    u32::try_from(std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()).unwrap()
}
