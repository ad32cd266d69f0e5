//! Where dockmaster itself runs, and what of it does not last.

use std::path::PathBuf;

use crate::domain::environment::{Concern, Environment, LiesOn, Limits, MountSeen, Which};
use crate::domain::text::{Text, listing};
use crate::domain::untrusted::UntrustedText;

/// How many mounts are listed.
const MOUNTS_SHOWN: usize = 10;

/// What does not last, in an admin's chat.
pub fn concerns(concerns: &[Concern]) -> Text {
    let lines: Vec<String> = concerns.iter().map(concern).collect();
    Text::new().plain("⚠️ ").bold("What I keep does not last").plain(format!("\n{}", lines.join("\n")))
}

/// Where dockmaster runs, a line each; nothing where there is nothing to say.
pub fn environment(environment: &Environment) -> Text {
    let mut text = Text::new();
    if let Some(runtime) = environment.runtime {
        let limits = limits(&environment.limits);
        text = text.plain(format!("In a container: {}{limits}\n", runtime.word()));
        let mounts = listing(environment.mounts.iter().map(mount), MOUNTS_SHOWN);
        if !mounts.is_empty() {
            text = text.plain(format!("Mounted: {mounts}\n"));
        }
    }
    if environment.configuration.as_ref().is_some_and(|place| !place.writable) {
        text = text.plain("I may not write where the configuration is: /config rollback pins a version, and leaves its files\n");
    }
    for said in moved(environment).into_iter().chain(environment.concerns.iter().map(concern)) {
        text = text.plain(format!("⚠️ {said}\n"));
    }
    text
}

/// The data is elsewhere than where dockmaster was told to keep it; nothing where it is not.
pub fn moved(environment: &Environment) -> Option<String> {
    let (from, to) = (UntrustedText::path(&environment.moved_from.as_ref()?), UntrustedText::path(&environment.data.as_ref()?.path));
    Some(format!("My data was moved from {from} to {to}, and I was started with the old place: set DOCKMASTER_DATA (or --data) to {to}."))
}

/// What does not last, why, and what to do about it.
pub fn concern(concern: &Concern) -> String {
    let path = UntrustedText::path(&concern.path);
    let what = match concern.which {
        Which::Data => format!("My data directory {path}"),
        Which::Configuration => format!("My configuration {path}"),
    };
    let (lies, gone) = match (concern.on, concern.boxed) {
        (LiesOn::Memory, true) => ("lies in memory", "when the container stops"),
        (LiesOn::Memory, false) => ("lies in memory", "at the machine's next start"),
        _ => ("lies in the container's own layer", "when the container is made anew"),
    };
    let lost = match concern.which {
        Which::Data => format!("history and releases are gone {gone}"),
        Which::Configuration => format!("what is changed there is gone {gone}"),
    };
    let next = match (concern.which, &concern.would_serve[..]) {
        (Which::Configuration, _) => "Mount its directory, and start me again.".to_owned(),
        (Which::Data, [best, ..]) => {
            let all = listing(concern.would_serve.iter().map(UntrustedText::path), concern.would_serve.len());
            format!("Mounted here, and fit for it: {all}. Moved there with: {}", move_to(best))
        }
        (Which::Data, []) if concern.boxed => {
            "Nothing that is mounted here would serve: mount a volume, and see docs/INSTALL.md for how to keep what there is.".to_owned()
        }
        (Which::Data, []) => "Move it to a disk: dockmaster move-data DIR".to_owned(),
    };
    format!("{what} {lies}: {lost}. {next}")
}

/// The command that moves the data directory to a mount. Not to its top: that is the engine's, or somebody else's.
fn move_to(point: &std::path::Path) -> String {
    let directory: PathBuf = point.join("dockmaster");
    UntrustedText::from(format!("dockmaster move-data {}", directory.display())).to_string()
}

/// What would serve in a container instead of a directory that dockmaster may not write to.
pub fn serves_instead(would_serve: &[PathBuf]) -> String {
    let all = listing(would_serve.iter().map(UntrustedText::path), would_serve.len());
    format!("Mounted here, and fit for it: {all}.")
}

fn mount(mount: &MountSeen) -> String {
    let only = if mount.writable { "" } else { " (read-only)" };
    format!("{}{only}", UntrustedText::path(&mount.point))
}

fn limits(limits: &Limits) -> String {
    let memory = limits.memory.map(|bytes| format!("{} of memory", size(bytes)));
    let cpus = limits.millicpus.map(|n| {
        let n = f64::from(u32::try_from(n).unwrap_or(u32::MAX)) / 1_000.0;
        format!("{n} {}", if n == 1.0 { "processor" } else { "processors" })
    });
    let pids = limits.pids.map(|n| format!("{n} processes"));
    let all: Vec<String> = [memory, cpus, pids].into_iter().flatten().collect();
    if all.is_empty() { ", without limits".to_owned() } else { format!(", with {} at most", all.join(", ")) }
}

/// Bytes as engines count them: `256 MB` is 256 times 1,024 times 1,024.
fn size(bytes: u64) -> String {
    let (mega, rest) = (bytes >> 20, bytes & ((1 << 20) - 1));
    match () {
        () if mega >= 1_024 && mega.is_multiple_of(1_024) => format!("{} GB", mega >> 10),
        () if mega >= 1 && rest == 0 || mega >= 10 => format!("{mega} MB"),
        () => format!("{} kB", bytes >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use expect_test::expect;

    #[test]
    fn what_does_not_last_is_told_with_what_to_do() {
        let data = |on, boxed, would_serve: &[&str]| Concern {
            which: Which::Data,
            path: "/var/lib/dockmaster".into(),
            on,
            boxed,
            would_serve: would_serve.iter().map(PathBuf::from).collect(),
        };
        let configuration = Concern { which: Which::Configuration, ..data(LiesOn::Layer, true, &["/kept"]) };
        check(
            &concerns(&[data(LiesOn::Memory, true, &["/kept", "/srv"]), data(LiesOn::Memory, false, &[]), configuration]),
            expect![[r#"
                ⚠️ *What I keep does not last*
                My data directory `/var/lib/dockmaster` lies in memory: history and releases are gone when the container stops. Mounted here, and fit for it: `/kept`, `/srv`. Moved there with: `dockmaster move-data /kept/dockmaster`
                My data directory `/var/lib/dockmaster` lies in memory: history and releases are gone at the machine's next start. Move it to a disk: dockmaster move-data DIR
                My configuration `/var/lib/dockmaster` lies in the container's own layer: what is changed there is gone when the container is made anew. Mount its directory, and start me again."#]],
        );
        assert_eq!(serves_instead(&["/a".into(), "/b".into()]), "Mounted here, and fit for it: `/a`, `/b`.");
    }

    #[test]
    fn limits_are_told_as_engines_count() {
        let told = |memory, millicpus, pids| limits(&Limits { memory, millicpus, pids });
        assert_eq!(told(None, None, None), ", without limits");
        assert_eq!(told(Some(1 << 29), Some(1_000), None), ", with 512 MB of memory, 1 processor at most");
        assert_eq!(told(Some(2 << 30), Some(250), Some(64)), ", with 2 GB of memory, 0.25 processors, 64 processes at most");
        assert_eq!(told(Some(300_000), None, None), ", with 292 kB of memory at most");
    }
}
